"""From verdicts to what is published and what is journalled. Ids derive from the cause, so a repeat makes the same."""

from typing import Any

from services.risk.adapters.ledger import Line
from tradebus.contracts.base import Message, event_id_for
from tradebus.contracts.risk import EntryApproved, EntryBlocked, EntryReduced, ExitApproved, SessionHalted
from tradebus.contracts.sessions import RiskLimits
from tradebus.contracts.signals import EntrySignal
from tradebus.contracts.streams import INTENTS, RISK
from tradebus.kernel.ids import derive_id
from tradebus.risk.state import Holding
from tradebus.risk.verdicts import Approval, Kind, Verdict

INTENTS_STREAM = INTENTS.shard(0)
_SOURCE = "risk"


def published(
    verdict: Verdict, *, session_id: str, user_id: str | None, limits: RiskLimits, now_ns: int
) -> tuple[str, Message] | None:
    """The stream and the message of a verdict; None for one that only the journal hears of."""
    fields: dict[str, Any] = {
        "ts_event_ns": verdict.ts_event_ns,
        "ts_recorded_ns": now_ns,
        "source": _SOURCE,
        "causation_id": verdict.cause_id,
        "session_id": session_id,
        "user_id": user_id,
        "pos_id": verdict.pos_id,
        "rule": verdict.rule,
    }
    if verdict.kind is Kind.HALT:
        event_id = event_id_for(SessionHalted.TYPE, verdict.ts_event_ns, session_id, verdict.rule)
        trace_id = verdict.trace_id or event_id
        return RISK.name, SessionHalted(**fields, event_id=event_id, trace_id=trace_id, detail=verdict.detail)
    if verdict.kind is Kind.EXIT and verdict.holding is not None:
        return INTENTS_STREAM, _exit(verdict, verdict.holding, fields)
    if not isinstance(verdict.signal, EntrySignal):
        return None
    fields |= _about(verdict.signal)
    if verdict.approval is not None:
        return INTENTS_STREAM, _approved(verdict, verdict.approval, verdict.signal, limits, fields)
    event_id = event_id_for(EntryBlocked.TYPE, verdict.ts_event_ns, verdict.signal.event_id)
    return RISK.name, EntryBlocked(**fields, event_id=event_id, detail=verdict.detail)


def journalled(verdict: Verdict, message: Message | None, *, session_id: str) -> Line:
    """The verdict's line in `risk_decisions`."""
    approval, signal = verdict.approval, verdict.signal
    about = signal or verdict.holding
    body: dict[str, str | int | None] = {"detail": verdict.detail, "cause_id": verdict.cause_id}
    if about is not None:
        body |= {"strategy": about.strategy, "symbol": about.symbol, "side": about.side}
    if approval is not None:
        body |= {
            "quantity_requested": approval.quantity_requested,
            "lot_size": approval.lot_size,
            "price_paise": approval.holding.price_paise,
            "stop_paise": approval.stop_paise,
            "target_paise": approval.target_paise,
        }
    return Line(
        event_id=message.event_id if message else _journal_id(verdict),
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
    verdict: Verdict, approval: Approval, signal: EntrySignal, limits: RiskLimits, fields: dict[str, Any]
) -> Message:
    fields |= {
        "intent_id": derive_id(verdict.ts_event_ns, "intent", signal.event_id),
        "quantity": approval.holding.quantity,
        "lot_size": approval.lot_size,
        "tick_size_paise": approval.tick_size_paise,
        "price_paise": approval.holding.price_paise,
        "stop_paise": approval.stop_paise,
        "target_paise": approval.target_paise,
        "valid_until_ns": approval.valid_until_ns,
        "max_slippage_pct": limits.max_slippage_pct,
        "order_timeout_seconds": limits.order_timeout_seconds,
    }
    if verdict.kind is Kind.ALLOW:
        event_id = event_id_for(EntryApproved.TYPE, verdict.ts_event_ns, signal.event_id)
        return EntryApproved(**fields, event_id=event_id)
    event_id = event_id_for(EntryReduced.TYPE, verdict.ts_event_ns, signal.event_id)
    return EntryReduced(**fields, event_id=event_id, quantity_requested=approval.quantity_requested)


def _exit(verdict: Verdict, holding: Holding, fields: dict[str, Any]) -> Message:
    cause = (holding.pos_id, verdict.rule, verdict.cause_id or "")
    return ExitApproved(
        **fields,
        event_id=event_id_for(ExitApproved.TYPE, verdict.ts_event_ns, *cause),
        intent_id=derive_id(verdict.ts_event_ns, "intent", *cause),
        trace_id=verdict.trace_id or holding.trace_id,
        strategy=holding.strategy,
        symbol=holding.symbol,
        instrument=holding.instrument,
        side=holding.side,
        reason=verdict.detail,
    )


def _about(signal: EntrySignal) -> dict[str, Any]:
    return {
        "signal_id": signal.event_id,
        "trace_id": signal.trace_id,
        "strategy": signal.strategy,
        "symbol": signal.symbol,
        "instrument": signal.instrument,
        "side": signal.side,
    }


def _journal_id(verdict: Verdict) -> str:
    return event_id_for("RISK_VERDICT", verdict.ts_event_ns, verdict.kind, verdict.cause_id or "", verdict.rule)
