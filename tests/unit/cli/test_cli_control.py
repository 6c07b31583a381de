"""What `tradebus flatten` and `tradebus start` send: their options as the gateway's fields."""

import sys
from pathlib import Path
from typing import Any

import pytest
import structlog
from testkit.scripted_server import Reply, ScriptedServer

from services.cli.main import main
from services.cli.output import Verbosity

ACCEPTED = {
    "status": "accepted", "action": "", "user_id": "123", "command_id": "c", "session_id": "s", "errors": [],
    "session_status": "RUNNING",
}  # fmt: skip


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs the command in front of a gateway that takes everything; what it was sent."""
    monkeypatch.setenv("TRADEBUS_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TRADEBUS_API_TOKEN", "token-for-tests-only")
    monkeypatch.setattr(Verbosity, "silent", False)
    monkeypatch.setattr(Verbosity, "log_level", "info")
    monkeypatch.setattr(structlog, "configure", lambda **_: None)

    def run(*arguments: str) -> dict[str, Any]:
        with ScriptedServer(lambda asked: Reply(ACCEPTED)) as gateway:
            monkeypatch.setattr(sys, "argv", ["tradebus", *arguments, "--url", gateway.url])
            with pytest.raises(SystemExit) as ended:
                main()
            assert not ended.value.code
            [asked] = gateway.calls("POST", "/api/commands")
        return {name: asked.json[name] for name in ("action", "user_id", "data")}

    return run


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ((), {}),
        (("--strategy", "orb", "--symbol", "NIFTY"), {"strategy": "orb", "symbol": "NIFTY"}),
        (("--position", "p1"), {"pos_id": "p1"}),
    ],
)
def test_a_flatten_says_what_it_means(sent: Any, options: tuple[str, ...], data: dict[str, str]) -> None:
    assert sent("flatten", "123", *options, "--reason", "news") == {
        "action": "FLATTEN", "user_id": "123", "data": {"reason": "news", **data},
    }  # fmt: skip


def test_a_start_carries_its_schedule(sent: Any) -> None:
    days = ("--schedule", "days=MON,TUE", "--schedule", "days_to_expiry=0,1", "--schedule", "to=2026-12-31")
    asked = sent("start", "123", "--strategy", "orb", "--symbol", "NIFTY", *days)
    assert asked["data"]["schedule"] == {"days": ["MON", "TUE"], "days_to_expiry": [0, 1], "to": "2026-12-31"}
    assert "schedule" not in sent("start", "123", "--strategy", "orb", "--symbol", "NIFTY")["data"]
