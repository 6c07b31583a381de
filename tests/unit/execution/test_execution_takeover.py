"""Exits that somebody sent past execution: shares of the trades they closed, and nothing sent before they are."""

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import contract

from services.execution.accounts.fence import ClosingFence
from tradebus.brokers.closing_journal import ClosingJournal, SentExit
from tradebus.contracts.orders import OrderRole, Transaction
from tradebus.contracts.signals import Side
from tradebus.execution import lifecycle
from tradebus.execution.closing.takeover import part_of, take_share, takes_from
from tradebus.execution.opening import open_trade
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Trade
from tradebus.kernel.timers import SimulatedTimers
from tradebus.trading.facts import EntryApproved
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, Outcome, Result
from tradebus.trading.states import TradeState

SECOND = 1_000_000_000
MORNING = 1_704_080_700 * SECOND
LOT = 65

fills_drawn = st.lists(st.integers(1, 5), max_size=6).map(
    lambda sizes: tuple(BrokerFill(f"f{number}", size, 100 + number, number) for number, size in enumerate(sizes))
)


@given(fills=fills_drawn, cuts=st.lists(st.integers(0, 30), max_size=4))
def test_shares_take_each_unit_of_the_fills_once_in_their_order(fills, cuts) -> None:
    total = sum(fill.quantity for fill in fills)
    units = []
    for start, end in pairwise(sorted({0, total, *(min(cut, total) for cut in cuts)})):
        part = part_of(fills, start=start, quantity=end - start)
        assert sum(fill.quantity for fill in part) == end - start
        units += [(fill.fill_id, fill.price_paise) for fill in part for _ in range(fill.quantity)]
    assert units == [(fill.fill_id, fill.price_paise) for fill in fills for _ in range(fill.quantity)]


def holding(side: Side = Side.LONG) -> Trade:
    """Two lots, with the stop resting."""
    approval = EntryApproved(
        event_id="e", ts_event_ns=MORNING, trace_id="t", session_id="s", user_id="u", pos_id="p", signal_id="g",
        strategy="orb", symbol="X", instrument=1, side=side, rule="all_passed", intent_id="i", quantity=2 * LOT,
        lot_size=LOT, tick_size_paise=5, price_paise=10_000, stop_paise=9_900 if side is Side.LONG else 10_100,
        target_paise=None, valid_until_ns=MORNING + 60 * SECOND, max_slippage_pct=0.5, order_timeout_seconds=30,
    )  # fmt: skip
    trade = open_trade(approval, TradeStep(), contract=contract(), owner="me")
    entry = trade.entry_order()
    lifecycle.on_outcome(trade, entry, TradeStep(), Outcome(Result.ACCEPTED, "b1"), at_ns=MORNING)
    fills = (BrokerFill("e1", 2 * LOT, 10_000, MORNING + SECOND),)
    told = BrokerOrder(
        "b1", entry.tag, "s", 1, entry.transaction, BrokerStatus.FILLED, 2 * LOT, 2 * LOT, None, fills, MORNING
    )
    lifecycle.on_report(trade, entry, TradeStep(), told)
    stop = next(order for order in trade.orders if order.role is OrderRole.STOP)
    lifecycle.on_outcome(trade, stop, TradeStep(), Outcome(Result.ACCEPTED, "b2"), at_ns=MORNING + SECOND)
    return trade


def cancelled_stop(trade: Trade) -> TradeStep:
    stop = next(order for order in trade.orders if order.role is OrderRole.STOP)
    told = BrokerOrder(
        "b2", stop.tag, "s", 1, stop.transaction, BrokerStatus.CANCELLED, stop.quantity, 0, stop.trigger_paise, (),
        MORNING + 5 * SECOND,
    )  # fmt: skip
    step = TradeStep()
    lifecycle.on_report(trade, stop, step, told)
    return step


def exit_line(*quantities: int, at_ns: int = MORNING + 4 * SECOND) -> BrokerOrder:
    fills = tuple(BrokerFill(f"x{number}", one, 9_950, at_ns + number) for number, one in enumerate(quantities))
    total = sum(quantities)
    return BrokerOrder("b9", "tbkill", "s", 1, Transaction.SELL, BrokerStatus.FILLED, total, total, None, fills, at_ns)


def test_a_trade_is_closed_by_its_share_once_its_stop_is_known_to_be_gone() -> None:
    trade, line = holding(), exit_line(LOT, 3 * LOT)
    assert takes_from(trade, line)
    step = TradeStep()
    take_share(trade, step, line, number=1, start=2 * LOT, quantity=2 * LOT)
    assert [(one.fill.fill_id, one.fill.quantity) for one in step.fills] == [("x1", 2 * LOT)]
    assert trade.open_quantity == 0
    cancelled_stop(trade)
    assert (trade.state, trade.exit_reason) == (TradeState.CLOSED, "closed_out")
    assert trade.exit_value_paise == 2 * LOT * 9_950
    assert not takes_from(trade, line)


def test_a_share_is_taken_once_and_never_more_than_is_held() -> None:
    trade, line = holding(), exit_line(4 * LOT)
    take_share(trade, TradeStep(), line, number=0, start=0, quantity=3 * LOT)
    assert trade.open_quantity == 2 * LOT
    for _ in range(2):
        take_share(trade, TradeStep(), line, number=0, start=0, quantity=LOT)
    assert trade.open_quantity == LOT


def test_an_exit_takes_nothing_of_what_was_opened_after_it_or_of_the_other_side() -> None:
    assert not takes_from(holding(), exit_line(LOT, at_ns=MORNING))
    assert not takes_from(holding(Side.SHORT), exit_line(LOT))


async def test_nothing_is_sent_while_the_account_is_closed_out_and_until_its_exits_are_taken_over(
    tmp_path: Path,
) -> None:
    timers = SimulatedTimers(MORNING)
    fence = ClosingFence(tmp_path, broker="kite", login="mine", timers=timers)
    journal = ClosingJournal(tmp_path, broker="kite", login="mine")

    async def a_moment_later() -> None:
        """What the disk said serves all requests of twenty milliseconds."""
        timers.advance(timers.now_ns() + 20_000_000)
        await fence.look()

    assert "not read from the disk yet" in fence.problem(), "a disk that is slow at the start opens nothing"
    await fence.look()
    assert (fence.problem(), fence.pending(), fence.is_closing) == ("", [], False)
    assert journal.take()
    await a_moment_later()
    assert fence.is_closing
    assert "closing the account out" in fence.problem()
    journal.write(SentExit("tb1", "NFO", "501", "SELL", LOT, MORNING))
    journal.release()
    await a_moment_later()
    assert "not taken over" in fence.problem()
    assert [one.tag for one in fence.pending()] == ["tb1"]
    fence.took_over("tb1")
    assert (fence.problem(), fence.tags()) == ("", {"tb1"})
    after = ClosingFence(tmp_path, broker="kite", login="mine", timers=SimulatedTimers(MORNING + 86_400 * SECOND))
    await after.look()
    assert after.problem() == ""
