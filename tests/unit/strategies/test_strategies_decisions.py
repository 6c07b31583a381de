"""What a strategy's answer becomes, however broken it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.signals import Side
from tradebus.strategies.lane.decisions import Moment, Source, position_id, row_of, row_of_signal, settle, signal_of
from tradebus.strategies.lane.positions import PositionKey
from tradebus.strategies.protocol import Action, Decision, Position, hold
from tradebus.trading.facts import ArmLong, ArmShort, EntrySignal, ExitSignal

SOURCE = Source(PositionKey("session", "orb", "NIFTY"), "user", 7)
MOMENT = Moment("candle", 1_700_000_000_000_000_000, 1_000)
POSITION = Position("pos", Side.SHORT, 10, 1_000, 5)
ENTRIES = (Action.ENTER_LONG, Action.ENTER_SHORT)


class Unspeakable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


numbers = st.none() | st.integers(-10, 2_000) | st.integers() | st.floats() | st.just("12")
answers: st.SearchStrategy[Any] = (
    st.builds(
        Decision,
        action=st.sampled_from(Action) | st.just("ENTER_LONG"),
        reason=st.text(max_size=600) | st.none() | st.sampled_from(["\x00a", "half \ud800 pair"]),
        stop_paise=numbers,
        target_paise=numbers,
        confidence=st.floats() | st.none() | st.integers(-1, 2),
    )
    | st.builds(
        Decision,
        action=st.sampled_from(Action),
        reason=st.text(min_size=1, max_size=20).filter(lambda text: text.strip("\x00")),
        stop_paise=st.sampled_from([900, 1_100]),
        target_paise=st.sampled_from([None, 800, 1_200]),
        confidence=st.floats(0, 1),
    )
    | st.none()
    | st.integers()
)


@given(answers, st.booleans(), st.booleans())
def test_every_answer_makes_one_row_and_an_acting_row_one_signal(answer, has_position, paused):
    position = POSITION if has_position else None
    decision = settle(answer, MOMENT, position=position, paused=paused)
    row = row_of(decision, SOURCE, MOMENT)
    signal = signal_of(decision, SOURCE, MOMENT, position=position)
    assert (signal is None) == (row.action == "HOLD")
    assert signal is None or row_of_signal(signal) == row
    assert "\x00" not in row.reason
    assert len(row.reason) <= 500
    assert row.reason.encode()  # Postgres takes it, and there is one
    if isinstance(signal, EntrySignal):
        assert not paused
        assert (signal.price_paise - signal.stop_paise) * signal.side.sign > 0
        assert signal.target_paise is None or (signal.target_paise - signal.price_paise) * signal.side.sign > 0
    if isinstance(signal, ExitSignal):
        assert (signal.pos_id, signal.side) == (POSITION.pos_id, POSITION.side)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "strategy_error: TypeError: answered NoneType, not a Decision"),
        (
            Decision(Action.ENTER_LONG, "go"),
            "strategy_error: ValueError: an entry needs stop_paise, an int above 0, got None",
        ),
        (
            Decision(Action.ENTER_LONG, "go", stop_paise=1_000),
            "strategy_error: ValueError: stop 1000 is not on the losing side of LONG at 1000",
        ),
        (
            Decision(Action.ENTER_SHORT, "go", stop_paise=1_100, target_paise=1_001),
            "strategy_error: ValueError: target 1001 is not on the winning side of SHORT at 1000",
        ),
        (
            Decision(Action.HOLD, "x", confidence=float("nan")),
            "strategy_error: ValueError: confidence nan is not within 0..1",
        ),
        (Decision(Action.HOLD, ""), "strategy_error: ValueError: a decision without a reason"),
        (  # more than a book's number holds
            Decision(Action.ENTER_LONG, "go", stop_paise=900, target_paise=10**30),
            f"strategy_error: ValueError: target_paise must be an int above 0 and at most {10**16} or None, "
            f"got {10**30}",
        ),
        (
            Decision(Action.ENTER_SHORT, "go", stop_paise=10**17),
            f"strategy_error: ValueError: an entry needs stop_paise, an int above 0 and at most {10**16}, got {10**17}",
        ),
        (  # more digits than Python writes
            Decision(Action.ENTER_SHORT, "go", stop_paise=10**5_000),
            f"strategy_error: ValueError: an entry needs stop_paise, an int above 0 and at most {10**16}, "
            "got a int that cannot be said",
        ),
        (
            Decision(Action.ENTER_LONG, "go", stop_paise=Unspeakable()),  # type: ignore[arg-type]
            "strategy_error: ValueError: an entry needs stop_paise, an int above 0, "
            "got a Unspeakable that cannot be said",
        ),
        (Decision(Action.EXIT, "leave"), "exit_without_position: leave"),
    ],
)
def test_an_answer_that_cannot_count_is_a_hold_that_says_why(answer, reason):
    assert settle(answer, MOMENT, position=None, paused=False) == hold(reason)


@pytest.mark.parametrize("action", ENTRIES)
def test_a_paused_session_sends_no_entry_but_exits_go_on(action):
    stop = 900 if action is Action.ENTER_LONG else 1_100
    entry = Decision(action, "go", stop_paise=stop)
    assert settle(entry, MOMENT, position=None, paused=True) == hold("session_paused: go")
    leave = Decision(Action.EXIT, "leave")
    assert settle(leave, MOMENT, position=POSITION, paused=True) is leave


def signal(decision: Decision, moment: Moment = MOMENT, source: Source = SOURCE) -> Any:
    return signal_of(decision, source, moment, position=POSITION)


def test_the_same_cause_gives_the_same_ids_and_another_cause_others():
    entry = Decision(Action.ENTER_LONG, "go", stop_paise=900, target_paise=1_200, confidence=0.7)
    first = signal(entry)
    assert first == signal(entry)
    assert first.pos_id == position_id(SOURCE.key, MOMENT.ts_event_ns)
    others = [
        signal(entry, Moment("candle", MOMENT.ts_event_ns + 1, 1_000)),
        signal(entry, source=Source(SOURCE.key._replace(session_id="b"), "user", 7)),
        signal(entry, source=Source(SOURCE.key._replace(strategy="b"), "user", 7)),
        signal(entry, source=Source(SOURCE.key._replace(symbol="b"), "user", 7)),
    ]
    assert len({one.event_id for one in (first, *others)}) == 5
    assert len({one.pos_id for one in (first, *others)}) == 5


def test_strategies_on_one_candle_share_its_trace_and_each_action_has_its_message():
    first = signal(Decision(Action.ARM_LONG, "near", confidence=0.4))
    second = signal(
        Decision(Action.ARM_SHORT, "near"), source=Source(SOURCE.key._replace(strategy="ema_20_50"), "user", 7)
    )
    exit_signal = signal(Decision(Action.EXIT, "leave"))
    assert (type(first), type(second), type(exit_signal)) == (ArmLong, ArmShort, ExitSignal)
    assert (first.side, second.side) == (Side.LONG, Side.SHORT)
    assert first.trace_id == second.trace_id == exit_signal.trace_id
    assert (first.ts_event_ns, first.user_id) == (MOMENT.ts_event_ns, "user")
