"""A stop that trails: when it is moved, and what the broker's answer means.

    a tick ─► a step or more nearer? ─► committed ─► one change of the order ─┬─ accepted ─► STOP_MOVED
                                                                              ├─ refused ──► it rests where it rested
                                                                              └─ no answer ► looked up, asked again

Invariants (property-tested, whatever ticks, fills and answers): a trigger only ever moves towards the market, at the
broker as well; no second change is under way with one that has no answer, nor one that a late twin of it could undo;
an order keeps its last changes for a position that grows; nobody leaves a position because its stop could not trail.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tradebus.contracts.orders import OrderRole, OrderType
from tradebus.execution import reports
from tradebus.execution.governor.ratio import CHANGES_KEPT, CHANGES_MAX
from tradebus.execution.moving import heard
from tradebus.execution.step import Modify, Moved, TradeStep
from tradebus.execution.stops.limits import stop_limit_paise
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.trading.orders import BrokerOrder, Outcome, Result
from tradebus.trading.states import OrderEvent, OrderState, TradeState
from tradebus.trading.trailing import Trail, trail_of

# Lines of a stop's history: a move was decided on, and a broker did not take it.
TRAILED, TRAIL_REFUSED = "TRAILED", "TRAIL_REFUSED"
# Event time: between two moves; before one is thought of again that others' requests had to go before; after one that
# was refused; after one without an answer, whose request may still arrive and would then undo the next.
SPACING_SECONDS, YIELD_SECONDS, REFUSED_SECONDS, LOST_SECONDS = 1, 2, 10, 60


@dataclass(frozen=True, slots=True)
class TrailWatch:
    """What the next move of a trade's stops waits for: a best price of `needs_paise` since entry, and a market beyond
    `level_paise`, not before `from_ns`."""

    trail: Trail
    stops: Sequence[Order]
    stop_paise: int
    changes: int
    level_paise: int
    needs_paise: int
    from_ns: int


def trail_watch(trade: Trade) -> TrailWatch | None:
    """None where the stops do not trail, or cannot be moved as things stand."""
    if trade.trailing is None or trade.state is not TradeState.POSITION_OPEN or trade.exit_reason is not None:
        return None
    stops = trade.all_live(OrderRole.STOP)
    if not stops or not all(_can_move(stop) for stop in stops):
        return None
    trail = trail_of(
        trade.trailing, side=trade.side, entry_price_paise=trade.entry_price_paise,
        initial_stop_paise=trade.initial_stop_paise, tick_size_paise=trade.tick_size_paise,
    )  # fmt: skip
    if trail is None:
        return None
    stop_paise = min((stop.trigger_paise or 0 for stop in stops), key=lambda paise: trade.side.sign * paise)
    changes = max(stop.moves for stop in stops)
    level_paise = trail.next_paise(stop_paise, changes=changes)
    from_ns = max(stop.updated_ns for stop in stops) + SPACING_SECONDS * NANOSECONDS_PER_SECOND
    return TrailWatch(
        trail, stops, stop_paise, changes, level_paise, trail.needs_paise(level_paise),
        max(from_ns, trade.trail_from_ns),
    )  # fmt: skip


def _can_move(stop: Order) -> bool:
    rests = stop.state is OrderState.TRIGGER_PENDING and stop.broker_order_id is not None and stop.hit_ns is None
    return rests and not stop.is_moving and stop.moves < CHANGES_MAX - CHANGES_KEPT


def trail_stop(trade: Trade, step: TradeStep, *, market_paise: int, at_ns: int) -> None:
    """Moves the stops behind the best price so far. Nothing where that is no step."""
    watch = trail_watch(trade)
    best_paise = trade.highest_paise if trade.side.sign > 0 else trade.lowest_paise
    if watch is None or best_paise is None or at_ns < watch.from_ns:
        return
    wanted_paise = watch.trail.stop_paise(
        watch.stop_paise, best_paise=best_paise, market_paise=market_paise, changes=watch.changes
    )
    if wanted_paise == watch.stop_paise:
        return
    trade.stop_paise = wanted_paise
    for stop in watch.stops:
        previous_paise = stop.trigger_paise or 0
        if trade.side.sign * (wanted_paise - previous_paise) > 0:
            _put(trade, stop, wanted_paise, at_ns=at_ns)
            stop.updated_ns = max(stop.updated_ns, at_ns)
            step.history.append(Moved(stop.order_id, stop.state, stop.state, TRAILED, at_ns))
            _ask(stop, step, Modify(stop.order_id, at_ns, stop.quantity, previous_paise, trails=True))


def trail_further(trade: Trade, stop: Order, step: TradeStep, *, rests_at_paise: int, at_ns: int) -> None:
    """A move of an earlier life has no answer, and the broker has the stop at `rests_at_paise`."""
    if stop.state is not OrderState.TRIGGER_PENDING or trade.exit_reason is not None or stop.is_moving:
        return
    if trade.at_broker:  # the first request may be on its way yet, and is counted there as this one is
        trade.trail_from_ns = max(trade.trail_from_ns, at_ns + LOST_SECONDS * NANOSECONDS_PER_SECOND)
        stop.moves += 1
    stop.is_moving = True
    step.requests.append(Modify(stop.order_id, at_ns, stop.quantity, rests_at_paise, trails=True))


def on_moved(trade: Trade, stop: Order, step: TradeStep, request: Modify) -> None:
    """The broker has the stop as it is to be."""
    heard(stop, step, OrderEvent.MODIFIED, request.at_ns)
    stop.is_moving, stop.move_lost, stop.rests_at_paise = False, None, stop.trigger_paise
    reports.stop_moved(
        trade, stop, step, request.at_ns, previous_trigger_paise=request.previous_trigger_paise,
        previous_quantity=request.previous_quantity,
    )  # fmt: skip


def on_not_trailed(trade: Trade, stop: Order, step: TradeStep, outcome: Outcome, request: Modify) -> None:
    """The move was refused: the stop is where it was, and covers what it covered. Or nobody knows: it covers that too,
    and is looked up."""
    if outcome.result is not Result.REFUSED:
        stop.move_lost = request
        trade.trail_from_ns = max(trade.trail_from_ns, request.at_ns + LOST_SECONDS * NANOSECONDS_PER_SECOND)
        return
    stop.is_moving, stop.move_lost = False, None
    sign = trade.side.sign
    known = [paise for paise in (request.previous_trigger_paise, stop.rests_at_paise) if paise]
    rests_at_paise = max(known, key=lambda paise: sign * paise)
    _put(trade, stop, rests_at_paise, at_ns=request.at_ns)
    trade.stop_paise = min(trade.stop_paise, rests_at_paise, key=lambda paise: sign * paise)
    if trade.at_broker:  # on paper what happens is the same after a crash, which loses this
        trade.trail_from_ns = max(trade.trail_from_ns, request.at_ns + REFUSED_SECONDS * NANOSECONDS_PER_SECOND)
    step.history.append(Moved(stop.order_id, stop.state, stop.state, TRAIL_REFUSED, request.at_ns))


def note_move(trade: Trade, stop: Order, step: TradeStep, report: BrokerOrder) -> None:
    """What the broker's book says of a stop whose move had no answer: it was made, or is asked for again."""
    request = stop.move_lost
    if request is None or report.status.final or not report.trigger_paise:
        return
    if report.trigger_paise == stop.trigger_paise:
        on_moved(trade, stop, step, request)
        return
    stop.is_moving, stop.move_lost = False, None
    if trade.exit_reason is None and stop.moves < CHANGES_MAX:
        _ask(stop, step, replace(request, previous_trigger_paise=report.trigger_paise))


def _ask(stop: Order, step: TradeStep, request: Modify) -> None:
    stop.is_moving, stop.moves = True, stop.moves + 1
    step.requests.append(request)


def _put(trade: Trade, stop: Order, trigger_paise: int, *, at_ns: int) -> None:
    """A stop's limit belongs to its trigger, inside the exchange's price protection."""
    stop.trigger_paise = trigger_paise
    if stop.order_type is OrderType.SL or stop.is_standing:
        stop.price_paise = stop_limit_paise(
            trade.contract, transaction=stop.transaction, trigger_paise=trigger_paise, day=ist_date(at_ns),
            is_standing=stop.is_standing,
        )  # fmt: skip
