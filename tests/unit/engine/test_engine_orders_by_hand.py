"""An order by hand among the live services in one simulated time: the way of every entry, from the command to flat."""

from datetime import date, time
from pathlib import Path
from typing import Any

import numpy as np
from testkit.engine import session
from testkit.simulated_stack import SimulatedStack

from services.gateway.adapters.views import views_of
from services.gateway.asking.answers import DeskAnswer
from services.gateway.asking.wiring import desks_of
from services.gateway.domain.body import CommandAction, ExternalCommand
from services.gateway.domain.problems import Problems
from services.gateway.settings import GatewaySettings
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.records import TICK, Records
from tradebus.contracts.registry import parse
from tradebus.contracts.risk import EntryBlocked
from tradebus.contracts.streams import RISK
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_to_ns
from tradebus.store.books import session_register
from tradebus.store.outbox import Outbox
from tradebus.symbols.descriptions import describe, instrument_of
from tradebus.trading.states import OrderState, TradeState

DAY = date(2026, 11, 25)
FUTURE = "NIFTY26DECFUT"
PRICE_PAISE = 2_600_000
BEFORE_NS, FROM_NS = ist_to_ns(DAY, time(9, 14)), ist_to_ns(DAY, time(9, 15))
ORDER: dict[str, Any] = {"symbol": FUTURE, "side": "LONG", "stop": "25900", "lots": 2}


def still(from_ns: int, *, minutes: int) -> Records:
    """A market that trades each second at one price: no strategy sees anything in it."""
    ticks = np.zeros(minutes * 60, TICK)
    ticks["ts_event_ns"] = from_ns + np.arange(len(ticks)) * NANOSECONDS_PER_SECOND
    ticks["price_paise"], ticks["volume_cumulative"] = PRICE_PAISE, np.arange(len(ticks)) + 1
    ticks["last_quantity"] = 75
    return ticks


async def asked(
    stack: SimulatedStack, action: CommandAction, data: dict[str, Any], key: str, state_dir: Path
) -> DeskAnswer:
    """What the gateway does with one."""
    settings = GatewaySettings(
        database_url="postgresql://unused", redis_url="redis://unused", state_dir=state_dir, market_clock=""
    )
    desks = desks_of(
        settings, bus=stack.bus, book=stack.book, register=session_register(stack.book), clock=stack.timers,
        consumer="gateway.commands",
    )  # fmt: skip
    problems = Problems()
    answer = await desks[action].carry_out(ExternalCommand(action, "asha", data, key), problems)
    assert answer is not None, problems.errors
    await Outbox(stack.book, stack.bus, timers=stack.timers).flush()
    return answer


async def blocked(stack: SimulatedStack) -> list[tuple[str, str]]:
    found = [parse(entry.body) for entry in await stack.bus.tail(RISK.name, count=100) if entry.body]
    return [(one.rule, one.signal_id) for one in found if isinstance(one, EntryBlocked)]


async def waiting(stack: SimulatedStack) -> list[str]:
    rows = await views_of(stack.book).rows("approvals", session_id=None, user_id="asha", limit=9)
    return [row["approval_id"] for row in rows]


async def test_an_order_by_hand_is_judged_protected_and_closed_like_any_other(tmp_path: Path) -> None:
    instrument = instrument_of(describe(FUTURE), 0)
    async with SimulatedStack(state_dir=tmp_path, start_ns=BEFORE_NS, instruments=[instrument]) as stack:
        await stack.start(session("asha", [FUTURE], ["orb"], capital_paise=10**10, max_concurrent_trades=1))
        await stack.market(still(FROM_NS, minutes=30))
        made = await asked(stack, CommandAction.PLACE, ORDER, "k1", tmp_path)
        await asked(stack, CommandAction.PLACE, ORDER, "k1", tmp_path)
        second = await asked(stack, CommandAction.PLACE, ORDER, "k2", tmp_path)
        await stack.market(still(FROM_NS + 1800 * NANOSECONDS_PER_SECOND, minutes=3))
        (trade,) = stack.trades
        assert (trade.pos_id, trade.strategy, trade.state) == (made.pos_id, "manual", TradeState.POSITION_OPEN)
        assert trade.entry_quantity == 2 * trade.lot_size
        assert [order.role for order in trade.orders] == [OrderRole.ENTRY, OrderRole.STOP]
        assert trade.stop_paise == 2_590_000
        assert await blocked(stack) == [("duplicate_position", second.signal_id)]
        await asked(stack, CommandAction.CLOSE, {"pos_id": made.pos_id}, "k3", tmp_path)
        await stack.market(still(FROM_NS + 1980 * NANOSECONDS_PER_SECOND, minutes=3))
        (trade,) = stack.trades
        assert (trade.state, trade.exit_quantity) == (TradeState.CLOSED, trade.entry_quantity)
        [stop] = [order for order in trade.orders if order.role is OrderRole.STOP]
        assert stop.state is OrderState.CANCELLED


async def test_what_was_asked_for_long_ago_is_refused_as_stale(tmp_path: Path) -> None:
    instrument = instrument_of(describe(FUTURE), 0)
    async with SimulatedStack(state_dir=tmp_path, start_ns=BEFORE_NS, instruments=[instrument]) as stack:
        await stack.start(session("asha", [FUTURE], ["orb"], capital_paise=10**10))
        await stack.market(still(FROM_NS, minutes=30))
        made = await asked(stack, CommandAction.PLACE, ORDER, "k1", tmp_path)
        signal = next(iter(stack.database.table("signals").values()))
        late = signal.model_copy(update={
            "event_id": "late", "pos_id": "late", "ts_event_ns": signal.ts_event_ns - 90 * NANOSECONDS_PER_SECOND,
        })  # fmt: skip
        async with stack.book.begin() as transaction:
            transaction.emit("signals.v1.manual", late)
        await Outbox(stack.book, stack.bus, timers=stack.timers).flush()
        await stack.market(still(FROM_NS + 1800 * NANOSECONDS_PER_SECOND, minutes=3))
        assert await blocked(stack) == [("stale_signal", "late")]
        assert [trade.pos_id for trade in stack.trades] == [made.pos_id]


CROSSED: dict[str, Any] = {"source": "chart", "do": "ENTER", **ORDER}


async def test_a_programs_entry_waits_for_a_person_gets_in_with_a_yes_and_expires_without(tmp_path: Path) -> None:
    instrument = instrument_of(describe(FUTURE), 0)
    spec = session("asha", [FUTURE], ["orb"], capital_paise=10**10).model_copy(update={"approval_seconds": 90})
    async with SimulatedStack(state_dir=tmp_path, start_ns=BEFORE_NS, instruments=[instrument]) as stack:
        await stack.start(spec)
        await stack.market(still(FROM_NS, minutes=30))
        made = await asked(stack, CommandAction.SIGNAL, CROSSED, "k1", tmp_path)

        async def waits() -> bool:
            return bool(await waiting(stack))

        assert await stack.until(waits, seconds=5)
        assert await waiting(stack) == [made.signal_id]
        assert not stack.trades
        word = {"approval_id": made.signal_id, "by": "asha"}
        await asked(stack, CommandAction.APPROVE, word, "k2", tmp_path)
        await stack.market(still(FROM_NS + 1800 * NANOSECONDS_PER_SECOND, minutes=2))
        (trade,) = stack.trades
        assert (trade.pos_id, trade.strategy, trade.state) == (made.pos_id, "webhook.chart", TradeState.POSITION_OPEN)
        await asked(stack, CommandAction.SIGNAL, {"source": "chart", "do": "EXIT", "symbol": FUTURE}, "k3", tmp_path)
        await stack.market(still(FROM_NS + 1920 * NANOSECONDS_PER_SECOND, minutes=6))
        assert stack.trades[0].state is TradeState.CLOSED
        late = await asked(stack, CommandAction.SIGNAL, CROSSED, "k4", tmp_path)
        assert await stack.until(waits, seconds=5)
        await stack.passes(stack.timers.now_ns() + 95 * NANOSECONDS_PER_SECOND)  # nothing trades
        assert (await blocked(stack))[-1] == ("approval_expired", late.signal_id)
        assert not await waiting(stack)
        assert len(stack.trades) == 1
