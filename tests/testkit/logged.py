"""What was logged, whichever way this process logs: a service built by another test may have set the logs to JSON."""

import re

import pytest


def logged(capsys: pytest.CaptureFixture[str]) -> str:
    """Everything written since the last call, fields as `name=value`."""
    said = capsys.readouterr()
    return re.sub(r'"(\w+)": ', r"\1=", said.out + said.err)
