"""The lifecycle tables: exactly the listed pairs, every life can end, only late fills reopen one."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.kernel.errors import IllegalTransition
from tradebus.trading.states import (
    ORDER_REVIVALS,
    ORDER_TRANSITIONS,
    TERMINAL_ORDER_STATES,
    TERMINAL_TRADE_STATES,
    TRADE_REVIVALS,
    TRADE_TRANSITIONS,
    OrderEvent,
    OrderState,
    TradeEvent,
    TradeState,
    explain,
    next_order_state,
    next_trade_state,
)

S, E = TradeState, TradeEvent
O, OE = OrderState, OrderEvent  # noqa: E741
State = TypeVar("State", bound=Hashable)
Event = TypeVar("Event", bound=Hashable)


def reachable(table: Mapping[tuple[State, Event], State], start: State) -> set[State]:
    found, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for (state, _), to in table.items():
            if state == here and to not in found:
                found.add(to)
                waiting.append(to)
    return found


@given(st.sampled_from(TradeState), st.sampled_from(TradeEvent))
def test_a_trade_moves_by_the_table_or_raises(state: TradeState, event: TradeEvent) -> None:
    if (state, event) in TRADE_TRANSITIONS:
        assert next_trade_state(state, event) is TRADE_TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition, match=f"a trade in {state} has no {event}; legal: "):
            next_trade_state(state, event)


@given(st.sampled_from(OrderState), st.sampled_from(OrderEvent))
def test_an_order_moves_by_the_table_or_raises(state: OrderState, event: OrderEvent) -> None:
    if (state, event) in ORDER_TRANSITIONS:
        assert next_order_state(state, event) is ORDER_TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition, match=f"an order in {state} has no {event}; legal: "):
            next_order_state(state, event)


@pytest.mark.parametrize("state", TradeState)
def test_every_trade_can_end(state: TradeState) -> None:
    assert reachable(TRADE_TRANSITIONS, state) & TERMINAL_TRADE_STATES


@pytest.mark.parametrize("state", OrderState)
def test_every_order_can_end(state: OrderState) -> None:
    assert reachable(ORDER_TRANSITIONS, state) & TERMINAL_ORDER_STATES


def test_every_state_and_event_is_used() -> None:
    assert reachable(TRADE_TRANSITIONS, S.SIGNAL_GENERATED) == set(TradeState)
    assert reachable(ORDER_TRANSITIONS, O.PENDING) == set(OrderState)
    assert {event for _, event in TRADE_TRANSITIONS} == set(TradeEvent)
    assert {event for _, event in ORDER_TRANSITIONS} == set(OrderEvent)


def test_only_late_words_leave_a_terminal_state() -> None:
    trades = {pair for pair, to in TRADE_TRANSITIONS.items() if pair[0] in TERMINAL_TRADE_STATES and to is not pair[0]}
    orders = {pair for pair, to in ORDER_TRANSITIONS.items() if pair[0] in TERMINAL_ORDER_STATES and to is not pair[0]}
    assert trades == TRADE_REVIVALS
    assert orders == ORDER_REVIVALS
    assert {event for _, event in trades} == {
        E.ENTRY_FILLED,
        E.EXIT_OVERFILLED,
        E.EXIT_PARTIALLY_FILLED,
        E.ORDER_APPEARED,
    }
    assert {event for _, event in orders} == {OE.FINAL_FILL, OE.PARTIAL_FILL, OE.RAISED, OE.APPEARED}


def test_a_fill_of_an_order_is_never_illegal() -> None:
    for state in OrderState:
        assert next_order_state(state, OE.FINAL_FILL) is O.FILLED
        next_order_state(state, OE.PARTIAL_FILL)


def test_a_fill_of_an_entry_or_a_double_exit_is_legal_in_every_state_after_approval() -> None:
    for state in TradeState:
        if state is not S.SIGNAL_GENERATED:
            assert next_trade_state(state, E.ENTRY_FILLED) in (S.POSITION_OPEN, S.EXIT_PENDING)
            assert next_trade_state(state, E.EXIT_OVERFILLED) is S.EXIT_PENDING


def test_a_request_whose_answer_is_lost_leaves_no_live_order_in_a_known_state() -> None:
    for state in OrderState:
        after = next_order_state(state, OE.OUTCOME_LOST)
        assert after is (state if state in TERMINAL_ORDER_STATES else O.UNKNOWN)


def test_nothing_but_the_brokers_word_resolves_an_unknown_order() -> None:
    ours = {OE.CANCEL_REQUESTED, OE.CANCEL_REFUSED, OE.MODIFIED, OE.OUTCOME_LOST}
    for event in OrderEvent:
        if (O.UNKNOWN, event) in ORDER_TRANSITIONS:
            assert (next_order_state(O.UNKNOWN, event) is O.UNKNOWN) == (event in ours)


def test_an_exit_in_flight_is_forgotten_only_when_it_is_known_to_be_over() -> None:
    leaving = {event for (state, event), to in TRADE_TRANSITIONS.items() if state is S.EXIT_PENDING and to is not state}
    assert leaving == {
        E.EXIT_FILLED, E.EXIT_REJECTED, E.EXIT_CANCELLED,
        E.ENTRY_REJECTED, E.ENTRY_CANCELLED, E.ENTRY_NOT_FOUND,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("events", "ends"),
    [
        ((E.APPROVED, E.ENTRY_ACCEPTED, E.ENTRY_FILLED, E.STOP_ANSWERED, E.EXIT_REQUESTED, E.EXIT_FILLED), S.CLOSED),
        ((E.APPROVED, E.ENTRY_ACCEPTED, E.ENTRY_FILLED, E.EXIT_FILLED), S.CLOSED),
        ((E.APPROVED, E.ENTRY_FILLED, E.ENTRY_ACCEPTED), S.POSITION_OPEN),
        ((E.APPROVED, E.ENTRY_UNKNOWN, E.ENTRY_NOT_FOUND), S.CANCELLED),
        ((E.APPROVED, E.ENTRY_UNKNOWN, E.ENTRY_FILLED), S.POSITION_OPEN),
        ((E.APPROVED, E.ENTRY_ACCEPTED, E.ENTRY_FILLED, E.ENTRY_REMAINDER_CANCELLED), S.POSITION_OPEN),
        ((E.APPROVED, E.ENTRY_ACCEPTED, E.ENTRY_CANCELLED, E.ENTRY_FILLED), S.POSITION_OPEN),
        ((E.APPROVED, E.ENTRY_ACCEPTED, E.EXIT_REQUESTED, E.ENTRY_FILLED, E.EXIT_FILLED), S.CLOSED),
        ((E.APPROVED, E.ENTRY_FILLED, E.EXIT_REQUESTED, E.EXIT_REJECTED, E.EXIT_REQUESTED), S.EXIT_PENDING),
        ((E.APPROVED, E.ENTRY_FILLED, E.EXIT_REQUESTED, E.STOP_ANSWERED, E.EXIT_UNKNOWN), S.EXIT_PENDING),
        ((E.APPROVED, E.ENTRY_FILLED, E.EXIT_REQUESTED, E.EXIT_FILLED, E.EXIT_OVERFILLED, E.EXIT_FILLED), S.CLOSED),
        ((E.BLOCKED,), S.CANCELLED),
        ((E.APPROVED, E.ENTRY_REJECTED), S.REJECTED),
    ],
)
def test_a_trades_life(events: tuple[TradeEvent, ...], ends: TradeState) -> None:
    state = S.SIGNAL_GENERATED
    for event in events:
        state = next_trade_state(state, event)
    assert state is ends


@pytest.mark.parametrize(
    ("events", "ends"),
    [
        ((OE.FINAL_FILL, OE.ACKNOWLEDGED), O.FILLED),
        ((OE.ACKNOWLEDGED, OE.PARTIAL_FILL, OE.CANCEL_REQUESTED, OE.PARTIAL_FILL, OE.CANCELLED), O.CANCELLED),
        ((OE.ACKNOWLEDGED, OE.CANCEL_REQUESTED, OE.FINAL_FILL, OE.CANCEL_REFUSED), O.FILLED),
        ((OE.ACKNOWLEDGED, OE.CANCEL_REQUESTED, OE.CANCEL_REFUSED, OE.ACKNOWLEDGED), O.OPEN),
        ((OE.OUTCOME_LOST, OE.PARTIAL_FILL), O.PARTIALLY_FILLED),
        ((OE.TRIGGER_WAITING, OE.CANCELLED), O.CANCELLED),
        ((OE.TRIGGER_WAITING, OE.TRIGGERED, OE.FINAL_FILL), O.FILLED),
        ((OE.ACKNOWLEDGED, OE.PARTIAL_FILL, OE.REJECTED), O.CANCELLED),
        ((OE.REJECTED, OE.PARTIAL_FILL), O.UNKNOWN),
        ((OE.NOT_FOUND,), O.CANCELLED),
    ],
)
def test_an_orders_life(events: tuple[OrderEvent, ...], ends: OrderState) -> None:
    state = O.PENDING
    for event in events:
        state = next_order_state(state, event)
    assert state is ends


def test_a_state_explains_its_legal_events() -> None:
    assert explain(S.SIGNAL_GENERATED) == {
        "APPROVED": "ENTRY_PENDING",
        "BLOCKED": "CANCELLED",
        "EXIT_REQUESTED": "CANCELLED",
    }
    assert explain(O.PENDING)["OUTCOME_LOST"] == "UNKNOWN"
