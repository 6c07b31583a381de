"""`tradebus order|close`: what is sent, and what is said of the verdict."""

import getpass
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from services.cli.client import GatewayClient
from services.cli.ordering import close_data, entry_data, said, verdict_on
from tradebus.kernel.errors import InvalidInput

NOTHING: dict[str, Any] = {"target": None, "price": None, "lots": None, "reason": "by hand", "by": None}
REPLY = {"status": "accepted", "session_id": "s1", "signal_id": "e1", "pos_id": "p1"}


def test_buy_is_long_and_sell_is_short_and_what_is_not_given_is_not_sent() -> None:
    assert entry_data("buy", "NIFTY", stop="24900", **NOTHING) == {
        "symbol": "NIFTY", "side": "LONG", "stop": "24900", "reason": "by hand", "by": getpass.getuser(),
    }  # fmt: skip
    given = {"target": "24000", "price": "25000.05", "lots": 2, "reason": "why", "by": "asha"}
    assert entry_data("sell", "NIFTY", stop="25100", **given) == {
        "symbol": "NIFTY", "side": "SHORT", "stop": "25100", **given,
    }  # fmt: skip
    assert close_data("p1", reason="why", by="asha") == {"pos_id": "p1", "reason": "why", "by": "asha"}
    with pytest.raises(InvalidInput, match=r"say buy .* or sell"):
        entry_data("long", "NIFTY", stop="1", **NOTHING)


async def test_the_verdict_is_that_on_the_signal_that_was_asked_for() -> None:
    told = [{"signal_id": "e0", "verdict": "ALLOW"}, {"signal_id": None, "verdict": "HALT"}]
    asked = list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["session_id"])
        late = [{"signal_id": "e1", "verdict": "BLOCK"}] if len(asked) > 1 else []
        return httpx.Response(200, json={"risk": [*told, *late]})

    client = GatewayClient("http://gateway", SecretStr("x" * 20), transport=httpx.MockTransport(answer))
    async with client:
        assert (await verdict_on(client, REPLY))["verdict"] == "BLOCK"
    assert asked == ["s1", "s1"]


def test_what_is_said_names_the_size_the_limit_that_cut_it_and_the_position() -> None:
    allowed = {"verdict": "ALLOW", "rule": "all_passed", "detail": "", "quantity": 150, "symbol": "NIFTY"}
    cut = {**allowed, "verdict": "REDUCE", "rule": "max_leverage", "detail": "75 of 150: …", "quantity": 75}
    assert said("PLACE_MANUAL", REPLY, allowed) == "approved: 150 NIFTY; position p1"
    assert said("PLACE_MANUAL", {**REPLY, "status": "repeated"}, cut) == (
        "approved, as before: 75 NIFTY, cut by max_leverage (75 of 150: …); position p1"
    )
    assert said("CLOSE_POSITION", REPLY, allowed) == "closing NIFTY: position p1"
