"""`tradebus approvals`: what is shown of what waits, and which verdict answers a word."""

from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from services.cli.approving import outcome_of, waiting_lines
from services.cli.client import GatewayClient
from services.cli.main import app

WAITING: dict[str, Any] = {
    "approval_id": "a1", "session_id": "s1", "user_id": "123", "quantity": 150,
    "asked_at": "2026-11-25T10:00:00.000+05:30", "expires_at": "2026-11-25T10:01:00.000+05:30",
    "entries": [
        {"strategy": "orb", "symbol": "NIFTY", "side": "LONG", "reason": "breakout", "signal_id": "e1",
         "price": 25000.0, "stop": 24900.0, "target": None},
        {"strategy": "orb", "symbol": "TCS", "side": "SHORT", "reason": "breakout", "signal_id": "e2",
         "price": 4000.0, "stop": 4100.5, "target": 3900.0},
    ],
}  # fmt: skip


def test_what_waits_is_shown_with_all_its_entries() -> None:
    assert waiting_lines(WAITING) == [
        "a1  user 123, until 2026-11-25T10:01:00.000+05:30, 150 units",
        "  orb: LONG NIFTY at 25000.0, stop 24900.0: breakout",
        "  orb: SHORT TCS at 4000.0, stop 4100.5, target 3900.0: breakout",
    ]


async def test_the_answer_is_the_verdict_after_the_wait() -> None:
    told = [{"signal_id": "e2", "verdict": "ALLOW"}, {"signal_id": "e1", "verdict": "WAIT"}]
    asked = list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["session_id"])
        late = [{"signal_id": "e1", "verdict": "REDUCE"}] if len(asked) > 1 else []
        return httpx.Response(200, json={"risk": [*late, *told]})

    client = GatewayClient("http://gateway", SecretStr("x" * 20), transport=httpx.MockTransport(answer))
    async with client:
        assert (await outcome_of(client, WAITING))["verdict"] == "REDUCE"
    assert asked == ["s1", "s1"]


@pytest.mark.parametrize(
    "command",
    [
        "approvals list",
        "approvals approve",
        "approvals refuse",
        "webhook add",
        "webhook list",
        "webhook remove",
        "alerts add",
        "alerts list",
        "alerts test",
        "alerts remove",
    ],
)
def test_the_help_of_each_shows_an_example(command: str) -> None:
    found = CliRunner().invoke(app, [*command.split(), "--help"])
    assert found.exit_code == 0
    assert f"Example: tradebus {command}" in found.stdout
    assert "--json" in found.stdout
