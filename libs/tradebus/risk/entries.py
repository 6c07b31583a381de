"""Getting in: the rules in their order, then the size. Legs of a group are judged together (`groups`).

Invariants, property-tested: an approval never takes the session beyond a limit, reservations counted; the same state
and signal give the same answer; a quantity is whole lots.
"""

from tradebus.calendar import Contract, ProposedOrder, contract_of, order_legal, tick_of
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.sessions import SizingMode
from tradebus.contracts.signals import Side
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import largest, round_to_tick, slices
from tradebus.kernel.time import ist_date
from tradebus.risk.rules.ask import EntryProposal
from tradebus.risk.rules.registry import first_objection
from tradebus.risk.rules.scopes import scopes_around
from tradebus.risk.rules.size.fitting import Sized, fitted
from tradebus.risk.rules.size.room import SizeProposal
from tradebus.risk.state import LegShare, RiskHolding, RiskState
from tradebus.risk.terms import Situation, hours_of
from tradebus.risk.verdicts import Approval, RuleFinding, Verdict, VerdictKind
from tradebus.trading.facts import EntrySignal
from tradebus.trading.size.margin import margin_paise

ALL_PASSED = "all_passed"
ORDERS_PER_ENTRY_MAX = 10  # execution sends them one after the other, while the entry is young


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
        contract = contract_of(instrument, ist_date(signal.ts_event_ns), price_paise=signal.price_paise)
        return (_sized(ask, signal.pos_id, contract),)
    except InvalidInput as error:
        return (block(signal, "unknown_contract", str(error)),)


def block(signal: EntrySignal, rule: str, detail: str) -> Verdict:
    return Verdict(VerdictKind.BLOCK, rule, detail, signal.ts_event_ns, signal.event_id, signal.trace_id, signal=signal)


def ask_of(
    state: RiskState, signal: EntrySignal, situation: Situation, instrument: Instrument, *, legs_to_come: int = 0
) -> EntryProposal:
    """The entry with all that the rules look at."""
    day, target = ist_date(signal.ts_event_ns), signal.target_paise
    tick = tick_of(instrument, day, price_paise=signal.price_paise)
    live = state.live()
    return EntryProposal(
        signal=signal,
        state=state,
        situation=situation,
        live=live,
        scopes=tuple(scopes_around(state, situation, live, strategy=signal.strategy)),
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
    sized = fitted(_size_of(ask, contract))
    if sized.quantity < lot:
        return block(signal, "below_one_lot", f"{sized.rule} leaves less than one lot of {lot}: {sized.why()}")
    first = slices(sized.quantity, lot_size=lot, freeze_quantity=contract.freeze_quantity)[0]
    legal = order_legal(contract, proposed(ask, first), ts_ns=signal.ts_event_ns)
    if not legal.allowed:
        return block(signal, legal.rule, legal.detail)
    return approved(ask, pos_id, contract, sized)


def most_of(contract: Contract) -> int | None:
    """The most units of one entry: so many orders of what the exchange takes in one; None where it has no such rule."""
    most = largest(lot_size=contract.lot_size, freeze_quantity=contract.freeze_quantity)
    return None if most is None else ORDERS_PER_ENTRY_MAX * most


def approved(
    ask: EntryProposal, pos_id: str, contract: Contract, sized: Sized, *, leg: LegShare | None = None
) -> Verdict:
    """ALLOW, or REDUCE where a limit cut the size."""
    signal = ask.signal
    approval = Approval(
        holding=_reservation(ask, pos_id, contract, sized.quantity, leg=leg),
        stop_paise=ask.stop_paise,
        target_paise=ask.target_paise,
        lot_size=contract.lot_size,
        tick_size_paise=contract.tick_size_paise,
        quantity_requested=sized.requested,
        valid_until_ns=signal.ts_event_ns + ask.situation.terms.approval_valid_ns,
        max_slippage_pct=None if len(ask.scopes) == 1 else _narrowest_slippage_pct(ask),
    )
    kind, rule, detail = VerdictKind.ALLOW, ALL_PASSED, ""
    if sized.reduced:
        kind, rule, detail = VerdictKind.REDUCE, sized.rule, f"{sized.quantity} of {sized.requested}: {sized.why()}"
    return Verdict(
        kind, rule, detail, signal.ts_event_ns, signal.event_id, signal.trace_id, signal=signal, approval=approval
    )


def _narrowest_slippage_pct(ask: EntryProposal) -> float | None:
    """Beyond which a fill of it is left again."""
    said = (scope.limits.max_slippage_pct for scope in ask.scopes)
    return min((one for one in said if one is not None), default=None)


def proposed(ask: EntryProposal, quantity: int) -> ProposedOrder:
    """The order that an approval leads to, as the exchange would see it."""
    transaction = Transaction.BUY if ask.signal.side is Side.LONG else Transaction.SELL
    return ProposedOrder(OrderRole.ENTRY, transaction, OrderType.LIMIT, quantity, price_paise=ask.price_paise)


def _size_of(ask: EntryProposal, contract: Contract) -> SizeProposal:
    return SizeProposal(
        ask=ask,
        capital_paise=capital_of(ask.state, ask.situation),
        price_paise=ask.price_paise,
        risk_paise=abs(ask.price_paise - ask.stop_paise),
        atr_paise=atr_of(ask),
        margin_paise=margin_of(ask, contract),
        step=contract.lot_size,
        lots_per_step=1,
        freeze_quantity=most_of(contract),
    )


def atr_of(ask: EntryProposal) -> int:
    """What a unit moves in a day; 0 where its size does not ask (`atr_unknown` has let it pass)."""
    if ask.situation.terms.sizing_of(ask.signal.strategy, lots=ask.signal.lots).mode is not SizingMode.ATR:
        return 0
    return ask.situation.atr_paise(ask.signal.instrument, ts_ns=ask.now_ns) or 0


def margin_of(ask: EntryProposal, contract: Contract) -> int:
    """What a unit needs of margin; the legs of a group know the underlying's price."""
    group = ask.signal.group
    return margin_paise(
        contract, ask.signal.side, price_paise=ask.price_paise,
        underlying_paise=None if group is None else group.price_paise,
    )  # fmt: skip


def capital_of(state: RiskState, situation: Situation) -> int:
    """What sizes are measured by: the session's capital, or its equity where sizing says so."""
    terms = situation.terms
    if not terms.sizing.of_equity:
        return terms.capital_paise
    return terms.capital_paise + state.carried_paise + state.total_paise()


def _reservation(
    ask: EntryProposal, pos_id: str, contract: Contract, quantity: int, *, leg: LegShare | None
) -> RiskHolding:
    signal = ask.signal
    return RiskHolding(
        pos_id=pos_id, strategy=signal.strategy, symbol=signal.symbol, instrument=signal.instrument, side=signal.side,
        quantity=quantity, price_paise=ask.price_paise, trace_id=signal.trace_id, approved_ns=signal.ts_event_ns,
        group_id=signal.group_id, margin_unit_paise=margin_of(ask, contract), leg=leg,
    )  # fmt: skip
