"""What a person is told of their strategies' errors, the same after `trade` and `backtest`."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from services.cli.output import say

_OWN_MODULE = re.compile(r"^tradebus_user_strategy_[0-9a-f]+\.")  # the name a loaded file has here
_RAISED = "strategy raised"  # as the strategy service logs it, with the traceback


def tell_errors(
    broken: Mapping[str, tuple[int, str]], raised: Iterable[tuple[str, str]], *, files: Collection[str]
) -> None:
    """`broken`: by strategy how many answers could not count, and why the first. `raised`: (strategy, traceback) of the
    first error of each session and symbol. `files`: the users' own, which are named with the line."""
    for line in raised_lines(raised, files=files):
        say(line)
    for strategy, (count, reason) in broken.items():
        say(f"strategy {strategy!r}: answers that could not count and became HOLD: {count:,}; the first: {reason}")


def raised_lines(raised: Iterable[tuple[str, str]], *, files: Collection[str]) -> list[str]:
    """Each error once, in the order of `raised`, with its file and line."""
    return list({f"strategy {strategy!r} raised: {_said(trace, files)}": None for strategy, trace in raised})


def files_of(users: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The strategy files that START_TRADING's data names."""
    items = [one for data in users.values() for one in data["strategies"] if isinstance(one, dict)]
    return {str(one["path"]) for one in items if "path" in one}


def raised_in(log: Path) -> list[tuple[str, str]]:
    """(strategy, traceback) of what the strategy service has logged, once for each session and symbol. A service that
    was started again says it again."""
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if _RAISED not in line:
                    continue
                try:
                    fields = json.loads(line)
                    key = (str(fields["session_id"]), str(fields["strategy"]), str(fields["symbol"]))
                    if fields["event"] == _RAISED:
                        found.setdefault(key, (key[1], str(fields["traceback"])))
                except (ValueError, KeyError, TypeError):
                    continue  # another library's line, or one that a kill cut short
    except OSError as error:
        say(f"{log}: cannot be read for what strategies raised: {error.strerror or error}")
    return list(found.values())


def _said(trace: str, files: Collection[str]) -> str:
    """The error's own words, and where in the user's file it was, or where at all."""
    lines = [line.strip() for line in trace.strip().splitlines()]
    places = [line for line in lines if line.startswith("File ")]
    own = [line for line in places if any(line.startswith(f'File "{file}"') for file in files)]
    at = (own or places)[-1:]
    return _OWN_MODULE.sub("", lines[-1]) + "".join(f" ({place}): mend it there; it held instead" for place in at)
