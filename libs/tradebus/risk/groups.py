"""Legs of a group: each comes as a signal of its own, and all of them get in or none does.

    a leg's signal ─► all before it are there? ─► the rules, of it and those to come ─► units of the whole group ─► size
    refused        ─► every leg that was approved before it is left
    an entry that came to nothing (`failed`) ─► the same

Invariants (property-tested): legs that are approved have the same number of units; after a refusal no leg of the group
is approved and each that was approved has an exit out or due.
"""

from dataclasses import replace

from tradebus.calendar import Contract, contract_of, order_legal
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.signals import Group, Leg, Side
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date
from tradebus.risk.entries import approved, ask_of, atr_of, block, capital_of, objected, proposed
from tradebus.risk.exits import GROUP_INCOMPLETE, exit_of, group_due
from tradebus.risk.rules.ask import EntryProposal
from tradebus.risk.rules.registry import first_objection
from tradebus.risk.rules.size.fitting import Sized, fitted
from tradebus.risk.rules.size.room import SizeProposal
from tradebus.risk.state import LegShare, RiskHolding, RiskState
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import Cause, RuleFinding, Verdict, VerdictKind
from tradebus.trading.facts import EntrySignal, OrderCancelled, OrderRejected
from tradebus.trading.legs import leg_pos_id
from tradebus.trading.size.margin import MarginLeg, legs_margin_paise


def decide_leg(state: RiskState, signal: EntrySignal, group: Group, situation: Situation) -> tuple[Verdict, ...]:
    """As `decide_entry`. A BLOCK is followed by an EXIT for each leg that was approved before."""
    if signal.pos_id is None or signal.group_id is None:
        raise ValueError(f"{signal.TYPE} {signal.event_id} has legs, and no pos_id or group_id")
    before = [holding for holding in state.group(signal.group_id) if holding.live]
    verdicts = _judged(state, signal, group, situation, before)
    last = verdicts[-1]
    if last.kind is not VerdictKind.BLOCK:
        return verdicts
    cause = Cause(signal.ts_event_ns, signal.event_id, signal.trace_id)
    detail = f"leg {signal.symbol} was refused: {last.rule}"
    return (
        *verdicts,
        *(
            exit_of(holding, rule=GROUP_INCOMPLETE, detail=detail, cause=cause)
            for holding in before
            if holding.closing_rule is None
        ),
    )


def failed(before: RiskState, state: RiskState, fact: object) -> RiskState:
    """The state after a report: where a leg's entry came to nothing, and nobody had asked for that, the others of its
    group are due to be left."""
    if not isinstance(fact, OrderCancelled | OrderRejected) or fact.role is not OrderRole.ENTRY or fact.pos_id is None:
        return state
    leg = before.holdings.get(fact.pos_id)
    if leg is None or leg.group_id is None or leg.closing_rule is not None or fact.pos_id in state.holdings:
        return state
    return group_due(state, leg.group_id, rule=GROUP_INCOMPLETE)


def _judged(
    state: RiskState, signal: EntrySignal, group: Group, situation: Situation, before: list[RiskHolding]
) -> tuple[Verdict, ...]:
    legs, day = group.legs, ist_date(signal.ts_event_ns)
    number = next((place for place, leg in enumerate(legs) if leg.instrument == signal.instrument), None)
    if number is None:
        raise ValueError(f"{signal.TYPE} {signal.event_id}: {signal.symbol} is none of its legs")
    staying = [holding for holding in before if holding.closing_rule is None and holding.exit_due is None]
    if len(staying) != number:
        detail = f"of the {number} legs before {signal.symbol} {len(staying)} are in or on their way"
        return (block(signal, GROUP_INCOMPLETE, detail),)
    try:
        asks: list[EntryProposal] = []
        contracts: list[Contract] = []
        for leg in legs:
            instrument = situation.instruments.get(leg.instrument)
            if instrument is None:
                return (block(signal, "unknown_instrument", f"instrument {leg.instrument} is not registered"),)
            contracts.append(contract_of(instrument, day, price_paise=leg.price_paise))
            asks.append(
                ask_of(state, _signal_of(signal, leg), situation, instrument, legs_to_come=len(legs) - 1 - number)
            )
        for ask in asks[number:]:
            objection = first_objection(ask)
            if objection is not None:
                return objected(signal, _of_leg(objection, ask, signal))
        return (_sized(asks, contracts, legs, number, staying),)
    except InvalidInput as error:
        return (block(signal, "unknown_contract", str(error)),)


def _signal_of(signal: EntrySignal, leg: Leg) -> EntrySignal:
    """The signal that a leg has, or will have."""
    if leg.instrument == signal.instrument:
        return signal
    return replace(
        signal, pos_id=leg_pos_id(signal.group_id or "", leg.symbol), symbol=leg.symbol, instrument=leg.instrument,
        side=leg.side, price_paise=leg.price_paise, stop_paise=leg.stop_paise, target_paise=leg.target_paise,
    )  # fmt: skip


def _of_leg(found: RuleFinding, ask: EntryProposal, signal: EntrySignal) -> RuleFinding:
    if ask.signal.instrument == signal.instrument:
        return found
    return replace(found, detail=f"leg {ask.signal.symbol}: {found.detail}")


def _sized(
    asks: list[EntryProposal], contracts: list[Contract], legs: tuple[Leg, ...], number: int, staying: list[RiskHolding]
) -> Verdict:
    """The leg's size: its share of as many units as the whole group may have, or as its first leg has."""
    ask, signal = asks[number], asks[number].signal
    lots = [leg.ratio * contract.lot_size for leg, contract in zip(legs, contracts, strict=True)]
    margins = _margins(asks, contracts, lots)
    units = _units(asks, contracts, legs, lots, margins)
    if units.quantity < 1:
        detail = f"{units.rule} leaves less than one unit of {len(legs)} legs: {units.why()}"
        return block(signal, "below_one_lot", detail)
    if staying:
        first = next(place for place, leg in enumerate(legs) if leg.symbol == staying[0].symbol)
        taken = staying[0].quantity // lots[first]
        if not 0 < taken <= units.quantity:
            return block(signal, units.rule, f"it leaves {units.quantity} of the {taken} units that the group has")
        units = Sized(taken, units.rule, max(taken, units.requested), units.why)
    for other, lot, contract in list(zip(asks, lots, contracts, strict=True))[number:]:
        legal = order_legal(contract, proposed(other, units.quantity * lot), ts_ns=signal.ts_event_ns)
        if not legal.allowed:
            return block(
                signal, legal.rule, _of_leg(RuleFinding(VerdictKind.BLOCK, "", legal.detail), other, signal).detail
            )
    lot = lots[number]
    sized = Sized(units.quantity * lot, units.rule, units.requested * lot, units.why)
    return approved(ask, signal.pos_id or "", contracts[number], sized, leg=_share(asks, lots, margins, number))


def _margins(asks: list[EntryProposal], contracts: list[Contract], lots: list[int]) -> list[int]:
    """What a unit of each leg's contract needs while all legs are held."""
    group = asks[0].signal.group
    return legs_margin_paise(
        [
            MarginLeg(contract, ask.signal.side, lot, ask.price_paise)
            for ask, contract, lot in zip(asks, contracts, lots, strict=True)
        ],
        underlying_paise=None if group is None else group.price_paise,
    )


def _share(asks: list[EntryProposal], lots: list[int], margins: list[int], number: int) -> LegShare:
    if asks[number].signal.side is Side.LONG:
        return LegShare(lots[number])
    return LegShare(lots[number], margins[number], sum(one.signal.side is Side.LONG for one in asks))


def _units(
    asks: list[EntryProposal], contracts: list[Contract], legs: tuple[Leg, ...], lots: list[int], margins: list[int]
) -> Sized:
    """Units of the group: as if it were one contract whose price and risk are those of all its legs together."""
    ask, together = asks[0], list(zip(asks, contracts, lots, strict=True))
    frozen = [
        contract.freeze_quantity // lot for _, contract, lot in together if contract.freeze_quantity is not None
    ]  # fmt: skip
    return fitted(
        SizeProposal(
            ask=ask,
            capital_paise=capital_of(ask.state, ask.situation),
            price_paise=sum(one.price_paise * lot for one, _, lot in together),
            risk_paise=sum(abs(one.price_paise - one.stop_paise) * lot for one, _, lot in together),
            atr_paise=sum(atr_of(one) * lot for one, _, lot in together),
            margin_paise=sum(paise * lot for paise, lot in zip(margins, lots, strict=True)),
            step=1,
            lots_per_step=max(leg.ratio for leg in legs),
            freeze_quantity=min(frozen, default=None),
        )
    )
