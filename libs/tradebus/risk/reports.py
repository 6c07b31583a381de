"""What execution reported, taken into the state. Facts are taken as they are: also those nobody here approved.

Invariants, property-tested:
- a reservation ends only by the word that the entry opened, was rejected or was cancelled with nothing filled,
- fills and the report of the opening may come in either order and count once,
- a trade's net profit counts once a day, however often its close is reported.
"""

from collections.abc import Mapping
from dataclasses import replace

from tradebus.contracts.orders import OrderRole, Transaction
from tradebus.contracts.signals import Side
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date
from tradebus.risk.exits import due_when_opened
from tradebus.risk.state import ClosedTrade, RiskHolding, RiskState, StrategyDay
from tradebus.risk.terms import Situation, hours_of, narrowed_end
from tradebus.trading.facts import (
    OrderCancelled,
    OrderFilled,
    OrderPartiallyFilled,
    OrderRejected,
    PositionClosed,
    PositionOpened,
)

Report = PositionOpened | PositionClosed | OrderFilled | OrderPartiallyFilled | OrderCancelled | OrderRejected


def concerns_risk(fact: Report) -> bool:
    """False for what changes nothing here: the end of a stop order, which the exit or the close reports anyway."""
    return not (isinstance(fact, OrderCancelled | OrderRejected) and fact.role is OrderRole.STOP)


def absorb(state: RiskState, fact: Report, situation: Situation) -> RiskState:
    """The state after `fact`. A report without a pos_id is a defect of its producer: ValueError."""
    if fact.pos_id is None:
        raise ValueError(f"{fact.TYPE} {fact.event_id} has no pos_id")
    state = state.at(fact.ts_event_ns)
    if isinstance(fact, PositionOpened):
        return _opened(state, fact.pos_id, fact, situation)
    if isinstance(fact, PositionClosed):
        return _closed(state, fact.pos_id, fact)
    holding = state.holdings.get(fact.pos_id)
    if holding is None or not holding.live:
        return state
    if isinstance(fact, OrderFilled | OrderPartiallyFilled):
        return state.with_holding(_filled(holding, fact))
    if fact.role is OrderRole.ENTRY:
        return _entry_over(state, holding, fact)
    if fact.role is OrderRole.EXIT:
        # The exit came to nothing: whoever asks next must get one.
        return state.with_holding(replace(holding, closing_rule=None))
    return state


def _opened(state: RiskState, pos_id: str, fact: PositionOpened, situation: Situation) -> RiskState:
    holding = state.holdings.get(pos_id)
    trades = state.trades
    if holding is None or not holding.live:
        holding = _adopted(pos_id, fact)
        trades = {**trades, fact.symbol: trades.get(fact.symbol, 0) + 1}
    if not holding.open:
        holding = replace(
            holding,
            opened_ns=fact.ts_event_ns,
            hard_end_ns=_hard_end(fact, situation),
            exit_due=due_when_opened(state, holding, situation),
        )
    opened = replace(
        holding,
        opened_quantity=fact.quantity,
        average_paise=fact.average_price_paise,
        quantity=max(holding.quantity, fact.quantity),
    )
    # A trade that fills again after it was closed: its next close reports the whole of it.
    realised = {key: value for key, value in state.realised.items() if key != pos_id}
    stamps = {**state.last_trade_ns, fact.symbol: fact.ts_event_ns}
    return replace(
        state.with_holding(opened), trades=trades, realised=realised, last_trade_ns=stamps,
        strategies=_strategies(state, fact, opens=trades is not state.trades),
    )  # fmt: skip


def _strategies(
    state: RiskState, fact: PositionOpened | PositionClosed, *, opens: bool = False, streak: int | None = None
) -> dict[str, StrategyDay]:
    """The strategies' days after a trade of one of them opened or closed; `opens`: nobody had approved it."""
    own = state.strategies.get(fact.strategy, StrategyDay())
    trades = {**own.trades, fact.symbol: own.trades.get(fact.symbol, 0) + 1} if opens else own.trades
    own = replace(
        own, trades=trades, last_trade_ns={**own.last_trade_ns, fact.symbol: fact.ts_event_ns},
        consecutive_losses=own.consecutive_losses if streak is None else streak,
    )  # fmt: skip
    return {**state.strategies, fact.strategy: own}


def _adopted(pos_id: str, fact: PositionOpened) -> RiskHolding:
    return RiskHolding(
        pos_id=pos_id, strategy=fact.strategy, symbol=fact.symbol, instrument=fact.instrument, side=fact.side,
        quantity=fact.quantity, price_paise=fact.average_price_paise, trace_id=fact.trace_id,
        approved_ns=fact.ts_event_ns, group_id=fact.group_id,
    )  # fmt: skip


def _hard_end(fact: PositionOpened, situation: Situation) -> int:
    """The last moment of the day it opened on. Opened on a day without trading, or in what is not known: at once."""
    instrument = situation.instruments.get(fact.instrument)
    try:
        hours = instrument and hours_of(instrument, situation.terms.limits, ts_ns=fact.ts_event_ns)
    except InvalidInput:
        hours = None
    if not hours:
        return fact.ts_event_ns
    return narrowed_end(hours, situation.terms.strategy_limits.get(fact.strategy), ts_ns=fact.ts_event_ns)


def _closed(state: RiskState, pos_id: str, fact: PositionClosed) -> RiskState:
    again = pos_id in state.realised
    own = state.strategies.get(fact.strategy, StrategyDay())
    streak, own_streak = state.consecutive_losses, own.consecutive_losses
    if not again and fact.net_pnl_paise != 0:  # a trade that breaks even neither adds to a streak nor ends it
        is_loss = fact.net_pnl_paise < 0
        streak, own_streak = (streak + 1, own_streak + 1) if is_loss else (0, 0)
    state = replace(
        state,
        realised={**state.realised, pos_id: fact.net_pnl_paise},
        closed={**state.closed, pos_id: ClosedTrade(fact.strategy, fact.symbol)},
        consecutive_losses=streak,
        last_trade_ns={**state.last_trade_ns, fact.symbol: fact.ts_event_ns},
        strategies=_strategies(state, fact, streak=own_streak),
    )
    holding = state.holdings.get(pos_id)
    if holding is None:
        return state
    if holding.opened_ns is None:
        return state.without_holding(pos_id)  # its opening was never heard of, so there is nothing to mark
    return state.with_holding(replace(holding, closed_ns=fact.ts_event_ns, net_pnl_paise=fact.net_pnl_paise))


def _filled(holding: RiskHolding, fact: OrderFilled | OrderPartiallyFilled) -> RiskHolding:
    value_paise = fact.fill_quantity * fact.fill_price_paise
    if fact.role is OrderRole.ENTRY:
        return replace(
            holding,
            filled_quantity=holding.filled_quantity + fact.fill_quantity,
            filled_value_paise=holding.filled_value_paise + value_paise,
        )
    # Where exit and stop both filled, the order back to flat trades in the entry's direction: it takes an exit back.
    sign = 1 if (fact.transaction is Transaction.SELL) is (holding.side is Side.LONG) else -1
    return replace(
        holding,
        exit_quantity=holding.exit_quantity + sign * fact.fill_quantity,
        exit_value_paise=holding.exit_value_paise + sign * value_paise,
    )


def _entry_over(state: RiskState, holding: RiskHolding, fact: OrderCancelled | OrderRejected) -> RiskState:
    """The entry order ended: what it has filled is all there will be."""
    reported = fact.filled_quantity if isinstance(fact, OrderCancelled) else 0
    filled = max(holding.entry_quantity, reported)
    if filled or holding.open:
        return state.with_holding(replace(holding, quantity=filled))
    state = state.without_holding(holding.pos_id)
    if ist_date(holding.approved_ns) != state.day:
        return state
    own = state.strategies.get(holding.strategy, StrategyDay())
    own = replace(own, trades=_one_less(own.trades, holding.symbol))
    return replace(
        state, trades=_one_less(state.trades, holding.symbol),
        strategies={**state.strategies, holding.strategy: own},
    )  # fmt: skip


def _one_less(trades: Mapping[str, int], symbol: str) -> dict[str, int]:
    """A trade of the symbol came to nothing."""
    count = trades.get(symbol, 0) - 1
    others = {name: number for name, number in trades.items() if name != symbol}
    return {**others, symbol: count} if count > 0 else others
