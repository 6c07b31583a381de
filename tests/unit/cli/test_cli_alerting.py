"""`tradebus alerts`: sinks are kept, shown by name and kind alone, tried, and removed."""

import json
from functools import partial
from pathlib import Path

import httpx
import pytest

from services.cli.alerting import add_sink, list_sinks, remove_sink, stored_sinks, try_sink
from services.gateway.alerts.sinks import open_sink
from tradebus.kernel.errors import InvalidInput, TradebusError

SECRET = "s3cr3t-T0K3N-0123456789abcdef"


@pytest.fixture(autouse=True)
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TRADEBUS_STATE_DIR", str(tmp_path / "state"))
    path = tmp_path / "telegram.json"
    path.write_text(json.dumps({"kind": "telegram", "token": SECRET, "chat_id": "1"}))
    return path


async def test_a_sink_is_added_listed_tried_and_removed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_sink("phone", file, json=False)
    first = stored_sinks().get("phone")
    add_sink("phone", file, json=True)
    assert stored_sinks().get("phone").key != first.key
    list_sinks(json=True)
    list_sinks(json=False)
    answers = iter((200, 403))
    transport = httpx.MockTransport(lambda _: httpx.Response(next(answers)))
    await try_sink("phone", json=False, open_sink=partial(open_sink, transport=transport))
    with pytest.raises(TradebusError, match=r"phone \(telegram\) did not take it: answered 403"):
        await try_sink("phone", json=False, open_sink=partial(open_sink, transport=transport))
    remove_sink("phone", json=False)
    list_sinks(json=False)
    said = capsys.readouterr().out
    assert SECRET not in said
    assert '"sinks": [{"name": "phone", "kind": "telegram"}]' in said
    assert "phone (telegram) has taken a test message" in said
    assert said.endswith("`tradebus alerts add` names a place\n")
    with pytest.raises(InvalidInput, match="not stored here"):
        await try_sink("phone", json=False)


@pytest.mark.parametrize("text", ["", "{", '"x"', "[" * 100_000, "\xff\xfe"])
def test_a_file_that_is_no_sink_is_refused_by_name(file: Path, text: str) -> None:
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInput, match=r"--file .*telegram\.json: "):
        add_sink("phone", file, json=False)
    with pytest.raises(InvalidInput, match="cannot be read"):
        add_sink("phone", file.parent / "nothing", json=False)
    assert stored_sinks().names() == []
