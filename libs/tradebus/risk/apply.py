"""What a verdict changes in the state. Pure; the same verdicts on the same state give the same state."""

from collections.abc import Iterable
from dataclasses import replace

from tradebus.risk.exits import all_due
from tradebus.risk.state import APPROVALS_KEPT_NS, RiskState, StrategyDay
from tradebus.risk.verdicts import Verdict, VerdictKind


def apply(state: RiskState, verdicts: Iterable[Verdict]) -> RiskState:
    """The state after `verdicts`, in order. BLOCK and IGNORED change nothing."""
    for verdict in verdicts:
        match verdict.kind:
            case VerdictKind.ALLOW | VerdictKind.REDUCE:
                state = _reserve(state, verdict)
            case VerdictKind.EXIT:
                state = _exit(state, verdict)
            case VerdictKind.HALT:
                state = all_due(replace(state, halted_rule=verdict.rule), rule=verdict.rule)
            case VerdictKind.WAIT:
                assert verdict.waiting is not None
                state = replace(state, waiting={**state.waiting, verdict.waiting.approval_id: verdict.waiting})
            case VerdictKind.BLOCK | VerdictKind.IGNORED:
                pass
    return state


def _reserve(state: RiskState, verdict: Verdict) -> RiskState:
    if verdict.approval is None:
        raise ValueError(f"{verdict.kind} without an approval")
    holding = verdict.approval.holding
    trades = {**state.trades, holding.symbol: state.trades.get(holding.symbol, 0) + 1}
    own = state.strategies.get(holding.strategy, StrategyDay())
    own = StrategyDay(
        own.consecutive_losses, {**own.trades, holding.symbol: own.trades.get(holding.symbol, 0) + 1},
        own.last_trade_ns, _lately(own.approvals_ns, holding.approved_ns),
    )  # fmt: skip
    return replace(
        state, holdings={**state.holdings, holding.pos_id: holding}, trades=trades,
        approvals_ns=_lately(state.approvals_ns, holding.approved_ns),
        strategies={**state.strategies, holding.strategy: own},
    )  # fmt: skip


def _lately(approvals_ns: tuple[int, ...], now_ns: int) -> tuple[int, ...]:
    return (*(ts_ns for ts_ns in approvals_ns if now_ns - ts_ns < APPROVALS_KEPT_NS), now_ns)


def _exit(state: RiskState, verdict: Verdict) -> RiskState:
    if verdict.holding is None:
        raise ValueError("EXIT without a holding")
    holding = state.holdings[verdict.holding.pos_id]
    # An exit that overtakes its entry may find nothing to close: it is said again when the entry opens.
    due = None if holding.open else verdict.rule
    return state.with_holding(replace(holding, closing_rule=verdict.rule, exit_due=due))
