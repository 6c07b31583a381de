"""Marking to market: the day's profit at every tick, from one batch, in compiled array steps.

The profit moves by steps: each tick of a held instrument moves it by the change of that position's unrealised profit,
each close by the difference of the realised net to the last mark. The steps in the order of event time (ties: ticks as
they came, then closes), summed up from the profit at the start of the batch, are the profit at every tick.

Invariants, property-tested against a plain loop: the breach is at the first tick, or close, at which realised plus
unrealised is at or below minus the limit; after a batch every position carries its instrument's last price; all is
exact integer arithmetic in paise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tradebus.contracts.records import Records
from tradebus.risk.state import RiskHolding, RiskState

_Integers = npt.NDArray[np.int64]
_FEW_TICKS = 16


@dataclass(frozen=True, slots=True)
class Breach:
    """The first moment the day's profit was at or below minus the limit."""

    ts_ns: int
    total_paise: int


@dataclass(frozen=True, slots=True)
class Marked:
    state: RiskState
    breach: Breach | None


def held_instruments(state: RiskState) -> set[int]:
    """Whose ticks matter: those of positions that are open, or closed and not yet marked up to the close."""
    return {holding.instrument for holding in _marked(state)}


def select(ticks: Records, instruments: Sequence[int]) -> Records:
    """The ticks of these instruments, in order of event time (ties as they came)."""
    column = ticks["instrument"]
    wanted = column == instruments[0] if len(instruments) == 1 else np.isin(column, instruments)
    chosen = ticks[wanted]
    times = chosen["ts_event_ns"]
    if chosen.size > 1 and bool(np.any(times[1:] < times[:-1])):
        chosen = chosen[np.argsort(times, kind="stable")]
    return chosen


def mark(state: RiskState, ticks: Records, *, end_ns: int, loss_limit_paise: int | None) -> Marked:
    """`ticks`: from `select`, all before `end_ns` (exclusive end of the batch). No limit: marks only."""
    held = _marked(state)
    if not held:
        return Marked(state, None)
    ending = [holding for holding in held if holding.closed_ns is not None and holding.closed_ns < end_ns]
    if not ending and not ticks.size:
        return Marked(state, None)
    if ticks.size <= _FEW_TICKS:
        return _mark_few(state, ticks, held, ending, loss_limit_paise)
    return _mark_many(state, ticks, held, ending, loss_limit_paise)


def _mark_few(
    state: RiskState,
    ticks: Records,
    held: Sequence[RiskHolding],
    ending: Sequence[RiskHolding],
    limit_paise: int | None,
) -> Marked:
    """Step by step: for a handful of ticks that is faster than arrays."""
    marks = {holding.pos_id: holding.mark_paise for holding in held}
    profits = {holding.pos_id: holding.unrealised_paise for holding in held}
    closes = sorted(ending, key=_closed_ns)
    total, breach, closed = _profit_at_start(state, held), None, 0
    columns = (ticks["ts_event_ns"].tolist(), ticks["instrument"].tolist(), ticks["price_paise"].tolist())
    for ts_ns, instrument, price_paise in zip(*columns, strict=True):
        while closed < len(closes) and _closed_ns(closes[closed]) < ts_ns:
            total += closes[closed].net_pnl_paise - profits[closes[closed].pos_id]
            breach = breach or _breach(_closed_ns(closes[closed]), total, limit_paise)
            closed += 1
        for holding in held:
            if holding.instrument != instrument or not _is_held_at(holding, ts_ns):
                continue
            profit = holding.pnl_paise(price_paise)
            total += profit - profits[holding.pos_id]
            profits[holding.pos_id], marks[holding.pos_id] = profit, price_paise
        breach = breach or _breach(ts_ns, total, limit_paise)
    for holding in closes[closed:]:
        total += holding.net_pnl_paise - profits[holding.pos_id]
        breach = breach or _breach(_closed_ns(holding), total, limit_paise)
    return Marked(_with_marks(state, marks, ended={holding.pos_id for holding in ending}), breach)


def _closed_ns(holding: RiskHolding) -> int:
    return holding.closed_ns or 0


def _is_held_at(holding: RiskHolding, ts_ns: int) -> bool:
    return (holding.opened_ns or 0) <= ts_ns and (holding.closed_ns is None or ts_ns <= holding.closed_ns)


def _breach(ts_ns: int, total_paise: int, limit_paise: int | None) -> Breach | None:
    return Breach(ts_ns, total_paise) if limit_paise is not None and total_paise <= -limit_paise else None


def _mark_many(
    state: RiskState,
    ticks: Records,
    held: Sequence[RiskHolding],
    ending: Sequence[RiskHolding],
    limit_paise: int | None,
) -> Marked:
    count = len(ticks)
    steps: _Integers = np.zeros(count + len(ending), dtype=np.int64)
    marks = {holding.pos_id: _step(holding, ticks, steps) for holding in held}
    for row, holding in enumerate(ending, start=count):
        last = replace(holding, mark_paise=marks[holding.pos_id])
        steps[row] = holding.net_pnl_paise - last.unrealised_paise
    breach = None
    if limit_paise is not None:
        times = np.concatenate([ticks["ts_event_ns"], np.array([holding.closed_ns for holding in ending], np.int64)])
        breach = _first_breach(_profit_at_start(state, held), steps, times, limit_paise)
    return Marked(_with_marks(state, marks, ended={holding.pos_id for holding in ending}), breach)


def _marked(state: RiskState) -> list[RiskHolding]:
    return [holding for holding in state.holdings.values() if holding.opened_ns is not None]


def _profit_at_start(state: RiskState, held: Sequence[RiskHolding]) -> int:
    """Before the batch every position in it was still open: closes count from their own instant on."""
    closed = sum(state.realised.get(holding.pos_id, 0) for holding in held if not holding.live)
    return sum(state.realised.values()) - closed + sum(holding.unrealised_paise for holding in held)


def _step(holding: RiskHolding, ticks: Records, steps: _Integers) -> int:
    """Adds the position's steps at its ticks to `steps`; returns its last price."""
    times = ticks["ts_event_ns"]
    mine = (ticks["instrument"] == holding.instrument) & (times >= holding.opened_ns)
    if holding.closed_ns is not None:
        mine &= times <= holding.closed_ns
    rows = np.flatnonzero(mine)
    if not rows.size:
        return holding.mark_paise
    prices = ticks["price_paise"][rows]
    rest = holding.entry_quantity - holding.exit_quantity
    profit = holding.side.sign * (rest * prices + (holding.exit_value_paise - holding.entry_value_paise))
    steps[rows] += np.diff(profit, prepend=holding.unrealised_paise)
    return int(prices[-1])


def _first_breach(start_paise: int, steps: _Integers, times: _Integers, limit_paise: int) -> Breach | None:
    order = np.argsort(times, kind="stable")
    totals = start_paise + np.cumsum(steps[order])
    below = np.flatnonzero(totals <= -limit_paise)
    if not below.size:
        return None
    return Breach(ts_ns=int(times[order[below[0]]]), total_paise=int(totals[below[0]]))


def _with_marks(state: RiskState, marks: dict[str, int], *, ended: set[str]) -> RiskState:
    holdings = {
        pos_id: holding
        if (mark := marks.get(pos_id, holding.mark_paise)) == holding.mark_paise
        else replace(holding, mark_paise=mark)
        for pos_id, holding in state.holdings.items()
        if pos_id not in ended
    }
    return replace(state, holdings=holdings)
