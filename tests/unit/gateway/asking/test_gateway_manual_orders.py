"""PLACE_MANUAL and CLOSE_POSITION: what becomes of a person's order, once, and what is refused by field."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.gateway import MemoryGateway

from services.gateway.domain.asked_orders import read_close, read_entry
from services.gateway.domain.problems import Problems
from tradebus.bus.port import Outgoing
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.records import TICK
from tradebus.contracts.registry import parse
from tradebus.contracts.signals import EntrySignal, ExitSignal, Side
from tradebus.contracts.streams import MD_TICKS, SIGNALS_MANUAL, key_of
from tradebus.kernel.clock import WallClock
from tradebus.store.memory_book import MemoryBook

NIFTY, NIFTY_PAISE = 2, 2_500_000
ENTRY: dict[str, Any] = {"symbol": "NIFTY", "side": "LONG", "stop": "24900", "target": 25200.5, "reason": "breakout"}
MASTER = InstrumentMaster([
    Instrument(
        instrument_id=NIFTY, symbol="NIFTY", kind="INDEX", market_class="index", underlying="NIFTY", tick_size_paise=5
    )
])  # fmt: skip


def placed(data: dict[str, Any], *, key: str = "k1", action: str = "PLACE_MANUAL") -> dict[str, Any]:
    return {"action": action, "user_id": "123", "command_id": key, "data": data}


async def trades_at(twin: MemoryGateway, price_paise: int = NIFTY_PAISE, *, instrument: int = NIFTY) -> int:
    """A slice of the market, up to now."""
    now_ns = WallClock().now_ns()
    ticks = np.zeros(1, TICK)
    ticks["ts_event_ns"], ticks["price_paise"], ticks["instrument"] = now_ns - 1, price_paise, instrument
    await twin.bus.publish([Outgoing(key_of(MD_TICKS), "ticks", ticks.tobytes(), watermark_ns=now_ns)])
    return now_ns


async def asked_for(twin: MemoryGateway) -> list[EntrySignal | ExitSignal]:
    found = [parse(entry.body) for entry in await twin.bus.tail(SIGNALS_MANUAL.name, count=100)]
    return [one for one in found if isinstance(one, EntrySignal | ExitSignal)]


async def refused(twin: MemoryGateway, command: dict[str, Any]) -> dict[str, str]:
    before = await asked_for(twin)
    reply = await twin.command(**command)
    assert reply["status"] == "rejected", reply
    assert await asked_for(twin) == before
    return {one["field"]: one["problem"] for one in reply["errors"]}


async def test_an_order_by_hand_is_a_signal_of_its_own_source_at_the_markets_time_and_price(
    twin: MemoryGateway,
) -> None:
    session_id = await twin.started()
    market_ns = await trades_at(twin)
    reply = await twin.command(**placed({**ENTRY, "lots": 2, "by": "asha"}))
    assert (reply["status"], reply["session_id"], reply["session_status"]) == ("accepted", session_id, "RUNNING")
    (signal,) = await asked_for(twin)
    assert isinstance(signal, EntrySignal)
    assert (signal.strategy, signal.symbol, signal.instrument, signal.side) == ("manual", "NIFTY", NIFTY, Side.LONG)
    assert (signal.price_paise, signal.stop_paise, signal.target_paise) == (NIFTY_PAISE, 2_490_000, 2_520_050)
    assert (signal.lots, signal.confidence, signal.reason) == (2, 1.0, "asha: breakout")
    assert (signal.session_id, signal.user_id, signal.causation_id) == (session_id, "123", "k1")
    assert market_ns <= signal.ts_event_ns < market_ns + 60 * 10**9
    assert reply["signal_id"] == signal.event_id
    assert reply["pos_id"] == signal.pos_id is not None
    assert (await twin.event("ENTRY_SIGNAL"))["strategy"] == "manual"


async def test_a_price_that_is_given_is_the_one_that_is_judged(twin: MemoryGateway) -> None:
    await twin.started()
    await trades_at(twin)
    await twin.command(**placed({**ENTRY, "price": "24990.05"}))
    (signal,) = await asked_for(twin)
    assert signal.price_paise == 2_499_005


async def test_an_order_sent_again_under_its_key_is_one_and_another_under_it_is_refused(twin: MemoryGateway) -> None:
    await twin.started()
    await trades_at(twin)
    first = await twin.command(**placed(ENTRY))
    await trades_at(twin, NIFTY_PAISE + 500)
    again = await twin.command(**placed(ENTRY))
    assert (again["status"], again["signal_id"], again["pos_id"]) == ("repeated", first["signal_id"], first["pos_id"])
    for other in (
        {**ENTRY, "side": "SHORT"},
        {**ENTRY, "stop": 24800},
        {**ENTRY, "lots": 5},
        {**ENTRY, "price": 24000},
    ):
        errors = await refused(twin, placed(other))
        assert "names another order already" in errors["command_id"]
    assert len(await asked_for(twin)) == 1
    assert (await twin.command(**placed(ENTRY, key="k2")))["status"] == "accepted"
    assert len({one.pos_id for one in await asked_for(twin)}) == 2


async def test_it_is_known_by_its_key_after_the_session_has_ended_too(twin: MemoryGateway) -> None:
    session_id = await twin.started()
    await trades_at(twin)
    await twin.command(**placed(ENTRY))
    await twin.command(action="STOP_TRADING", user_id="123")
    await twin.let_go(session_id)
    await twin.event("SESSION_STOPPED")
    again = await twin.command(**placed(ENTRY))
    assert (again["status"], again["session_id"], again["session_status"]) == ("repeated", session_id, "STOPPED")
    assert "no session of user 123 runs" in (await refused(twin, placed(ENTRY, key="k2")))["user_id"]


async def test_without_a_market_nothing_can_be_judged(twin: MemoryGateway) -> None:
    await twin.started()
    errors = await refused(twin, placed(ENTRY))
    assert "no market data has come" in errors["action"]
    await trades_at(twin, instrument=1)
    assert "NIFTY has not traded lately: give a price" in (await refused(twin, placed(ENTRY)))["data.price"]
    assert (await twin.command(**placed({**ENTRY, "price": 25000})))["status"] == "accepted"


async def test_a_session_that_is_starting_takes_no_order_yet(twin: MemoryGateway) -> None:
    await twin.command(action="START_TRADING", user_id="123", data={
        "strategies": ["orb"], "symbols": ["NIFTY"], "capital": 500000,
    })  # fmt: skip
    await trades_at(twin)
    assert "no session of user 123 runs" in (await refused(twin, placed(ENTRY)))["user_id"]


async def test_a_run_over_recorded_time_takes_no_order(launch_twin: Any) -> None:
    twin = await launch_twin(paced=True)
    await trades_at(twin)
    assert "TRADEBUS_PACED" in (await refused(twin, placed(ENTRY)))["action"]


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({}, "data.symbol", "is missing"),
    ({"symbol": 5}, "data.symbol", "must be text, not a number"),
    ({"symbol": "NIFTI"}, "data.symbol", "did you mean 'NIFTY'?"),
    ({"side": "BUY"}, "data.side", "must be LONG or SHORT"),
    ({"stop": None}, "data.stop", "is missing"),
    ({"stop": -5}, "data.stop", "must be above 0"),
    ({"stop": "12.345"}, "data.stop", "finer than one paisa"),
    ({"target": []}, "data.target", "must be an amount in rupees"),
    ({"price": "NaN"}, "data.price", "rupees"),
    ({"lots": 0}, "data.lots", "a whole number of lots"),
    ({"lots": 1.5}, "data.lots", "a whole number of lots"),
    ({"lots": True}, "data.lots", "a whole number of lots"),
    ({"reason": ""}, "data.reason", "1 to 200 printable"),
    ({"by": "a\nb"}, "data.by", "1 to 64 printable"),
    ({"quantity": 75}, "data.quantity", "unknown field"),
]


@pytest.mark.parametrize(("data", "field", "says"), BAD)
async def test_every_bad_field_is_named(twin: MemoryGateway, data: dict[str, Any], field: str, says: str) -> None:
    errors = await refused(twin, placed({**(ENTRY if data else {}), **data}))
    assert says in errors[field]


async def test_a_position_is_closed_by_its_id_whatever_opened_it(twin: MemoryGateway) -> None:
    session_id = await twin.started()
    await trades_at(twin, instrument=1)
    assert isinstance(twin.book, MemoryBook)
    async with MemoryBook(twin.book.database, producer="execution-1").begin() as transaction:
        transaction.table("trades")["p1"] = SimpleNamespace(
            pos_id="p1", session_id=session_id, user_id="123", strategy="orb", symbol="BANKNIFTY", instrument=1,
            side=Side.SHORT, expected_price_paise=5_100_000,
        )  # fmt: skip
    close = placed({"pos_id": "p1", "reason": "news"}, action="CLOSE_POSITION")
    assert "no position of user 124" in (await refused(twin, {**close, "user_id": "124"}))["data.pos_id"]
    reply = await twin.command(**close)
    assert (reply["status"], reply["session_id"], reply["pos_id"]) == ("accepted", session_id, "p1")
    (signal,) = await asked_for(twin)
    assert isinstance(signal, ExitSignal)
    assert (signal.pos_id, signal.strategy, signal.side, signal.price_paise) == ("p1", "orb", Side.SHORT, NIFTY_PAISE)
    assert (await twin.command(**close))["status"] == "repeated"
    other = placed({"pos_id": "p2", "reason": "news"}, action="CLOSE_POSITION")
    assert "names another order" in (await refused(twin, other))["command_id"]
    assert len(await asked_for(twin)) == 1


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=12)
_TREES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
_NAMES = st.sampled_from(("symbol", "side", "stop", "target", "price", "lots", "reason", "by", "pos_id", "x"))


@given(st.dictionaries(_NAMES, _TREES))
def test_any_tree_is_an_order_or_a_problem(data: dict[str, Any]) -> None:
    problems = Problems()
    assert (read_entry(data, MASTER, problems) is None) == bool(problems)
    problems = Problems()
    assert (read_close(data, problems) is None) == bool(problems)
