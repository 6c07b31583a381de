"""Legs in the lane: from roles to contracts with prices, from a decision to one signal for each leg.

    ENTER_LEGS ─► contracts by role, last closes ─► all legs checked ─► an entry signal each, bought ones first
    EXIT       ─► the position, and every leg that is open           ─► an exit signal each

Invariants (property-tested): a group is asked for with all its legs or not at all; its id and those of its signals are
pure functions of session, strategy, symbol and instant.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tradebus.contracts.base import event_id_for
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.signals import Group, Leg
from tradebus.kernel.time import ist_midnight_ns
from tradebus.strategies.lane.decisions import Moment, Source, broken_levels, shared_fields, signal_of
from tradebus.strategies.lane.positions import LegSpan
from tradebus.strategies.protocol import Action, Candle, Decision, HeldLeg, Position, hold
from tradebus.trading.facts import EntrySignal, ExitSignal, Signal
from tradebus.trading.legs import Legs, group_id, is_group_of, leg_pos_id

# An instant ─► the strategy's open legs.
LegsAt = Callable[[int], Sequence[LegSpan]]


class RoleLegs:
    """The contracts of one strategy's roles on one symbol, their last closes, and the legs it holds in them."""

    def __init__(self, source: Source, contracts: Mapping[str, Instrument], legs_at: LegsAt) -> None:
        self._source, self._contracts, self._legs_at = source, contracts, legs_at
        self._roles = {contract.symbol: role for role, contract in reversed(list(contracts.items()))}
        self._closes: dict[str, tuple[int, int]] = {}  # by symbol: when, at what

    def heard(self, symbol: str, candle: Candle) -> None:
        """A contract's candle has closed."""
        if candle.ts_close_ns >= self._closes.get(symbol, (0, 0))[0]:
            self._closes[symbol] = (candle.ts_close_ns, candle.close_paise)

    def held(self, ts_ns: int) -> tuple[HeldLeg, ...]:
        """Its open legs as of an instant, the oldest first."""
        key = self._source.key
        return tuple(
            HeldLeg(self._roles.get(one.symbol, one.symbol), one.symbol, one.instrument, one.group_id, one.position)
            for one in self._legs_at(ts_ns)
            if is_group_of(one.group_id, key.session_id, key.strategy, key.symbol)
        )

    def asked(self, decision: Decision, moment: Moment) -> Group | Decision:
        """The group an ENTER_LEGS asks for; a HOLD that says why it cannot be."""
        found: list[Leg] = []
        for wanted in decision.legs:
            name = wanted.role.name
            contract = self._contracts.get(name)
            if contract is None:
                return hold(f"strategy_error: ValueError: leg {name}: NEEDS does not have it")
            price_paise = self._price_paise(contract, moment)
            if price_paise is None:
                return hold(f"no_price: {contract.symbol} ({name}) has not traded today: {decision.reason}")
            stop_paise, target_paise = wanted.levels_at(price_paise)
            problem = broken_levels(stop_paise, target_paise, wanted.side, price_paise)
            if problem is not None or stop_paise is None:
                return hold(f"strategy_error: {problem} (leg {name})")
            found.append(
                Leg(
                    contract.instrument_id, contract.symbol, wanted.side, wanted.ratio, price_paise, stop_paise,
                    target_paise,
                )
            )  # fmt: skip
        try:
            return Group(self._source.instrument, moment.price_paise, Legs(tuple(found)).in_order)
        except ValueError as error:
            return hold(f"strategy_error: ValueError: {error}")

    def _price_paise(self, contract: Instrument, moment: Moment) -> int | None:
        """The newest price that a candle of the day has shown."""
        if contract.instrument_id == self._source.instrument:
            return moment.price_paise
        at_ns, close_paise = self._closes.get(contract.symbol, (0, 0))
        return close_paise if at_ns > ist_midnight_ns(moment.ts_event_ns) and close_paise > 0 else None


def signals_of(
    decision: Decision, source: Source, moment: Moment, *, position: Position | None, group: Group | None,
    legs: Sequence[HeldLeg],
) -> list[Signal]:  # fmt: skip
    """The signals of a settled decision: one, or one for each leg it enters or leaves."""
    if group is not None and decision.action is Action.ENTER_LEGS:
        return _entries(decision, source, moment, group)
    single = signal_of(decision, source, moment, position=position)
    found = [] if single is None else [single]
    if legs and decision.action is Action.EXIT:
        found += [_exit(leg, decision, source, moment) for leg in legs]
    return found


def _entries(decision: Decision, source: Source, moment: Moment, group: Group) -> list[Signal]:
    key = source.key
    named = group_id(key.session_id, key.strategy, key.symbol, moment.ts_event_ns)
    return [
        EntrySignal(
            **_leg_fields(EntrySignal.TYPE, decision, source, moment, named=named, symbol=leg.symbol),
            pos_id=leg_pos_id(named, leg.symbol), instrument=leg.instrument, side=leg.side,
            price_paise=leg.price_paise, stop_paise=leg.stop_paise, target_paise=leg.target_paise,
            confidence=decision.confidence, group=group,
        )
        for leg in group.legs
    ]  # fmt: skip


def _exit(leg: HeldLeg, decision: Decision, source: Source, moment: Moment) -> Signal:
    return ExitSignal(
        **_leg_fields(ExitSignal.TYPE, decision, source, moment, named=leg.group_id, symbol=leg.symbol),
        pos_id=leg.position.pos_id, instrument=leg.instrument, side=leg.position.side,
        price_paise=leg.position.entry_price_paise, group=Group(source.instrument, moment.price_paise),
    )  # fmt: skip


def _leg_fields(
    message_type: str, decision: Decision, source: Source, moment: Moment, *, named: str, symbol: str
) -> dict[str, Any]:
    """What a leg's signal has of its decision; contract and price are the leg's own."""
    fields = shared_fields(message_type, decision, source, moment)
    del fields["instrument"], fields["price_paise"]
    event_id = event_id_for(message_type, moment.ts_event_ns, named, symbol, moment.ts_event_ns)
    return fields | {"event_id": event_id, "symbol": symbol, "group_id": named}
