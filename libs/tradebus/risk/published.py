"""From verdicts to what the others hear and what is journalled. Pure; ids derive from the cause, so that a repeat makes
the same."""

from dataclasses import dataclass
from typing import Any

from tradebus.contracts.base import event_id_for
from tradebus.contracts.sessions import RiskLimits
from tradebus.kernel.ids import derive_id
from tradebus.risk.state import RiskHolding, WaitingEntry
from tradebus.risk.verdicts import Approval, Verdict, VerdictKind
from tradebus.trading.facts import (
    EntryApproved,
    EntryAwaitsApproval,
    EntryBlocked,
    EntryReduced,
    EntrySignal,
    ExitApproved,
    RiskFact,
    SessionHalted,
)


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One verdict in the journal of decisions. `body` holds nothing that differs between two runs over the same
    events."""

    event_id: str
    session_id: str
    signal_id: str | None
    pos_id: str | None
    verdict: str
    rule: str
    quantity: int | None
    ts_event_ns: int
    body: dict[str, str | int | None]


def published(verdict: Verdict, *, session_id: str, user_id: str, limits: RiskLimits) -> RiskFact | None:
    """What a verdict tells the others; None for one that only the journal hears of."""
    signal = verdict.signal
    if verdict.waiting is not None and isinstance(signal, EntrySignal):
        return _waits(verdict, verdict.waiting, signal, session_id=session_id, user_id=user_id)
    if verdict.approval is not None and isinstance(signal, EntrySignal):
        return _approved(verdict, verdict.approval, signal, session_id=session_id, user_id=user_id, limits=limits)
    if verdict.kind is VerdictKind.EXIT and verdict.holding is not None:
        return _exit(verdict, verdict.holding, session_id=session_id, user_id=user_id)
    if verdict.kind is VerdictKind.HALT:
        return _halted(verdict, session_id=session_id, user_id=user_id)
    if isinstance(signal, EntrySignal):
        return _blocked(verdict, signal, session_id=session_id, user_id=user_id)
    return None


def journalled(verdict: Verdict, fact: RiskFact | None, *, session_id: str) -> JournalLine:
    """The verdict's line in the journal; `fact` is what it tells the others."""
    approval, signal = verdict.approval, verdict.signal
    about = signal or verdict.holding
    body: dict[str, str | int | None] = {"detail": verdict.detail, "cause_id": verdict.cause_id}
    if about is not None:
        body |= {"strategy": about.strategy, "symbol": about.symbol, "side": about.side}
        if about.group_id is not None:
            body["group_id"] = about.group_id
    if approval is not None:
        body |= {
            "quantity_requested": approval.quantity_requested,
            "lot_size": approval.lot_size,
            "price_paise": approval.holding.price_paise,
            "stop_paise": approval.stop_paise,
            "target_paise": approval.target_paise,
        }
    return JournalLine(
        event_id=fact.event_id if fact is not None else _journal_id(verdict),
        session_id=session_id,
        signal_id=signal.event_id if signal else None,
        pos_id=verdict.pos_id,
        verdict=verdict.kind,
        rule=verdict.rule,
        quantity=approval.holding.quantity if approval else None,
        ts_event_ns=verdict.ts_event_ns,
        body=body,
    )


def _approved(
    verdict: Verdict, approval: Approval, signal: EntrySignal, *, session_id: str, user_id: str, limits: RiskLimits
) -> EntryApproved:
    made = EntryApproved if verdict.kind is VerdictKind.ALLOW else EntryReduced
    fields: dict[str, Any] = {
        **_about(verdict, signal, session_id=session_id, user_id=user_id),
        "event_id": event_id_for(made.TYPE, verdict.ts_event_ns, signal.event_id),
        "intent_id": derive_id(verdict.ts_event_ns, "intent", signal.event_id),
        "quantity": approval.holding.quantity,
        "lot_size": approval.lot_size,
        "tick_size_paise": approval.tick_size_paise,
        "price_paise": approval.holding.price_paise,
        "stop_paise": approval.stop_paise,
        "target_paise": approval.target_paise,
        "valid_until_ns": approval.valid_until_ns,
        "max_slippage_pct": approval.max_slippage_pct or limits.max_slippage_pct,
        "order_timeout_seconds": limits.order_timeout_seconds,
    }
    if made is EntryReduced:
        fields["quantity_requested"] = approval.quantity_requested
    return made(**fields)


def _waits(
    verdict: Verdict, waiting: WaitingEntry, signal: EntrySignal, *, session_id: str, user_id: str
) -> EntryAwaitsApproval:
    return EntryAwaitsApproval(
        **_about(verdict, signal, session_id=session_id, user_id=user_id),
        event_id=event_id_for(EntryAwaitsApproval.TYPE, verdict.ts_event_ns, signal.event_id),
        approval_id=waiting.approval_id, quantity=waiting.quantity, price_paise=signal.price_paise,
        stop_paise=signal.stop_paise, target_paise=signal.target_paise, expires_ns=waiting.expires_ns,
    )  # fmt: skip


def _blocked(verdict: Verdict, signal: EntrySignal, *, session_id: str, user_id: str) -> EntryBlocked:
    return EntryBlocked(
        **_about(verdict, signal, session_id=session_id, user_id=user_id),
        event_id=event_id_for(EntryBlocked.TYPE, verdict.ts_event_ns, signal.event_id),
        detail=verdict.detail,
    )


def _about(verdict: Verdict, signal: EntrySignal, *, session_id: str, user_id: str) -> dict[str, Any]:
    return {
        "ts_event_ns": verdict.ts_event_ns,
        "trace_id": signal.trace_id,
        "session_id": session_id,
        "user_id": user_id,
        "pos_id": verdict.pos_id,
        "causation_id": verdict.cause_id,
        "group_id": signal.group_id,
        "signal_id": signal.event_id,
        "strategy": signal.strategy,
        "symbol": signal.symbol,
        "instrument": signal.instrument,
        "side": signal.side,
        "rule": verdict.rule,
    }


def _exit(verdict: Verdict, holding: RiskHolding, *, session_id: str, user_id: str) -> ExitApproved:
    cause = (holding.pos_id, verdict.rule, verdict.cause_id or "")
    return ExitApproved(
        event_id=event_id_for(ExitApproved.TYPE, verdict.ts_event_ns, *cause),
        ts_event_ns=verdict.ts_event_ns,
        trace_id=verdict.trace_id or holding.trace_id,
        session_id=session_id,
        user_id=user_id,
        pos_id=holding.pos_id,
        group_id=holding.group_id,
        causation_id=verdict.cause_id,
        intent_id=derive_id(verdict.ts_event_ns, "intent", *cause),
        strategy=holding.strategy,
        symbol=holding.symbol,
        instrument=holding.instrument,
        side=holding.side,
        rule=verdict.rule,
        reason=verdict.detail,
    )


def _halted(verdict: Verdict, *, session_id: str, user_id: str) -> SessionHalted:
    event_id = event_id_for(SessionHalted.TYPE, verdict.ts_event_ns, session_id, verdict.rule)
    return SessionHalted(
        event_id=event_id,
        ts_event_ns=verdict.ts_event_ns,
        trace_id=verdict.trace_id or event_id,
        session_id=session_id,
        user_id=user_id,
        causation_id=verdict.cause_id,
        rule=verdict.rule,
        detail=verdict.detail,
    )


def _journal_id(verdict: Verdict) -> str:
    return event_id_for("RISK_VERDICT", verdict.ts_event_ns, verdict.kind, verdict.cause_id or "", verdict.rule)
