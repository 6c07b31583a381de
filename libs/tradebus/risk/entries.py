"""Getting in: the rules in their order, then the size. Legs of a group are judged together (`groups`).

Invariants, property-tested: an approval never takes the session beyond a limit, reservations counted; the same state
and signal give the same answer; a quantity is whole lots.
"""

from dataclasses import replace

from tradebus.calendar import Contract, ProposedOrder, contract_of, order_legal
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.signals import Side
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import round_to_tick
from tradebus.kernel.time import ist_date
from tradebus.risk.rules.ask import EntryProposal
from tradebus.risk.rules.registry import first_objection
from tradebus.risk.state import RiskHolding, RiskState
from tradebus.risk.terms import Situation, hours_of
from tradebus.risk.verdicts import Approval, RuleFinding, Verdict, VerdictKind
from tradebus.trading.facts import EntrySignal
from tradebus.trading.sizing import Sized, position_size

ALL_PASSED = "all_passed"


def decide_entry(state: RiskState, signal: EntrySignal, situation: Situation) -> tuple[Verdict, ...]:
    """ALLOW, REDUCE or BLOCK; where the entry shows that the day's limit is reached, a HALT before the BLOCK."""
    if signal.pos_id is None:
        raise ValueError(f"{signal.TYPE} {signal.event_id} has no pos_id")
    instrument = situation.instruments.get(signal.instrument)
    if instrument is None:
        return (block(signal, "unknown_instrument", f"instrument {signal.instrument} is not registered"),)
    try:
        ask = ask_of(state, signal, situation, instrument)
        objection = first_objection(ask)
        if objection is not None:
            return objected(signal, objection)
        contract = contract_of(instrument, ist_date(signal.ts_event_ns))
        return (_sized(ask, signal.pos_id, contract),)
    except InvalidInput as error:
        return (block(signal, "unknown_contract", str(error)),)


def block(signal: EntrySignal, rule: str, detail: str) -> Verdict:
    return Verdict(VerdictKind.BLOCK, rule, detail, signal.ts_event_ns, signal.event_id, signal.trace_id, signal=signal)


def ask_of(
    state: RiskState, signal: EntrySignal, situation: Situation, instrument: Instrument, *, legs_to_come: int = 0
) -> EntryProposal:
    """The entry with all that the rules look at."""
    tick, target = instrument.tick_size_paise, signal.target_paise
    return EntryProposal(
        signal=signal,
        state=state,
        situation=situation,
        live=state.live(),
        hours=hours_of(instrument, situation.terms.limits, ts_ns=signal.ts_event_ns),
        price_paise=round_to_tick(signal.price_paise, tick),
        stop_paise=round_to_tick(signal.stop_paise, tick),
        target_paise=None if target is None else round_to_tick(target, tick),
        legs_to_come=legs_to_come,
    )


def objected(signal: EntrySignal, found: RuleFinding) -> tuple[Verdict, ...]:
    blocked = block(signal, found.rule, found.detail)
    if found.kind is not VerdictKind.HALT:
        return (blocked,)
    halt = Verdict(VerdictKind.HALT, found.rule, found.detail, signal.ts_event_ns, signal.event_id, signal.trace_id)
    return (halt, blocked)


def _sized(ask: EntryProposal, pos_id: str, contract: Contract) -> Verdict:
    signal, lot = ask.signal, contract.lot_size
    sized = _size(ask, contract)
    if sized.quantity < lot:
        return block(signal, "below_one_lot", f"{sized.rule} leaves less than one lot of {lot}")
    legal = order_legal(contract, proposed(ask, sized.quantity), ts_ns=signal.ts_event_ns)
    if not legal.allowed:
        return block(signal, legal.rule, legal.detail)
    return approved(ask, pos_id, contract, sized)


def approved(ask: EntryProposal, pos_id: str, contract: Contract, sized: Sized) -> Verdict:
    """ALLOW, or REDUCE where a limit cut the size."""
    signal = ask.signal
    approval = Approval(
        holding=_reservation(ask, pos_id, sized.quantity),
        stop_paise=ask.stop_paise,
        target_paise=ask.target_paise,
        lot_size=contract.lot_size,
        tick_size_paise=contract.tick_size_paise,
        quantity_requested=sized.requested,
        valid_until_ns=signal.ts_event_ns + ask.situation.terms.approval_valid_ns,
    )
    allowed = Verdict(
        VerdictKind.ALLOW, ALL_PASSED, "", signal.ts_event_ns, signal.event_id, signal.trace_id, signal=signal,
        approval=approval,
    )  # fmt: skip
    if not sized.reduced:
        return allowed
    return replace(allowed, kind=VerdictKind.REDUCE, rule=sized.rule, detail=f"{sized.quantity} of {sized.requested}")


def proposed(ask: EntryProposal, quantity: int) -> ProposedOrder:
    """The order that an approval leads to, as the exchange would see it."""
    transaction = Transaction.BUY if ask.signal.side is Side.LONG else Transaction.SELL
    return ProposedOrder(OrderRole.ENTRY, transaction, OrderType.LIMIT, quantity, price_paise=ask.price_paise)


def _size(ask: EntryProposal, contract: Contract) -> Sized:
    terms, limits = ask.situation.terms, ask.situation.terms.limits
    return position_size(
        capital_paise=terms.capital_paise,
        price_paise=ask.price_paise,
        stop_paise=ask.stop_paise,
        lot_size=contract.lot_size,
        risk_per_trade_pct=limits.risk_per_trade_pct,
        max_leverage=limits.max_leverage,
        max_exposure_pct=limits.max_exposure_pct,
        open_exposure_paise=sum(holding.exposure_paise for holding in ask.live),
        max_lots_per_trade=limits.max_lots_per_trade,
        freeze_quantity=contract.freeze_quantity,
    )


def _reservation(ask: EntryProposal, pos_id: str, quantity: int) -> RiskHolding:
    signal = ask.signal
    return RiskHolding(
        pos_id=pos_id, strategy=signal.strategy, symbol=signal.symbol, instrument=signal.instrument, side=signal.side,
        quantity=quantity, price_paise=ask.price_paise, trace_id=signal.trace_id, approved_ns=signal.ts_event_ns,
        group_id=signal.group_id,
    )  # fmt: skip
