"""One strategy on one symbol: its state is the candles', not the process's."""

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.strategy_days import Day, generated_days, of_timeframe

from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.kernel.errors import InvalidInput
from tradebus.strategies.info import info_of
from tradebus.strategies.lane.asking import Asking
from tradebus.strategies.lane.decisions import Source
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.positions import PositionBook, PositionKey
from tradebus.strategies.lane.runner import Runner
from tradebus.strategies.lane.sessions import ActiveSession, ActiveSessions, open_session
from tradebus.strategies.protocol import Action, Candle, Context, Decision, Strategy, StrategyParameters, Tick, hold
from tradebus.strategies.registry import BUILT_IN

KEY = PositionKey("session", "test", "NIFTY")
INDEX = Instrument(
    instrument_id=9, symbol="NIFTY", kind="INDEX", market_class="index", underlying="NIFTY", tick_size_paise=5
)
INSTRUMENTS = InstrumentMaster(
    [
        Instrument(
            instrument_id=number,
            symbol=symbol,
            kind="INDEX",
            market_class="index",
            underlying=symbol,
            tick_size_paise=5,
        )
        for number, symbol in enumerate(("NIFTY", "BANKNIFTY"))
    ],
    {"NIFTY50": "NIFTY"},
)


def runner(strategy: type[Strategy[Any]]) -> Runner:
    asking = Asking(
        Source(KEY, "user", 0), info_of(strategy), hours=SessionHours(INDEX), position_at=lambda ts_ns: None
    )
    return Runner(asking, lambda: strategy(strategy.PARAMETERS()))


def answers(made: Runner, candles: list[Candle]) -> list[Decision]:
    settled = [made.on_candle(candle, paused=False) for candle in candles]
    return [one.decision for one in settled if one is not None]


@settings(max_examples=10)
@given(st.integers(0, 1_000), st.sampled_from(sorted(BUILT_IN)), st.data())
def test_a_runner_made_anew_at_any_candle_decides_as_one_from_the_days_start(seed, name, data):
    strategy = BUILT_IN[name]
    days: list[Day] = [of_timeframe(day, strategy.TIMEFRAME_SECONDS // 60) for day in generated_days(2, seed=seed)]
    before, today = list(days[0].candles), list(days[1].candles)
    whole = runner(strategy)
    whole.rebuild(today[0].ts_open_ns, before)
    expected = answers(whole, today)
    cut = data.draw(st.integers(0, len(today) - 1))
    late = runner(strategy)
    assert late.needs_rebuild(today[cut].ts_open_ns)
    late.rebuild(today[cut].ts_open_ns, before + today[:cut])
    assert answers(late, today[cut:]) == expected[cut:]
    assert not late.needs_rebuild(today[-1].ts_open_ns)


class Faulty(Strategy[StrategyParameters]):
    NAME = "faulty"
    PARAMETERS = StrategyParameters
    WANTS_TICKS = True

    def on_candle(self, candle: Candle, context: Context) -> Decision:
        if candle.volume:
            raise KeyError("what is\nthis")
        return hold(f"position {context.position}, warming up {context.warming_up}")

    def on_tick(self, tick: Tick, context: Context) -> Decision | None:
        if tick.volume_cumulative:
            raise ValueError("no tick")
        return None if tick.price_paise else hold("no price")


class Unmakeable(Faulty):
    NAME = "unmakeable"

    def __init__(self, parameters: StrategyParameters) -> None:
        raise RuntimeError("cannot be made")


DAY = generated_days(1, seed=1, with_volume=True)[0]


def test_a_strategy_that_raises_holds_with_the_reason_and_its_traceback_is_told_once():
    made = runner(Faulty)
    assert "KeyError" in (made.rebuild(DAY.open_ns, DAY.candles[:2]) or "")
    first = made.on_candle(DAY.candles[2], paused=False)
    assert first is not None
    assert first.decision == hold("strategy_error: KeyError: 'what is\\nthis'")
    assert first.failure is None  # told when it was rebuilt
    fresh = runner(Faulty)
    assert fresh.rebuild(DAY.open_ns, []) is None
    told = [fresh.on_candle(candle, paused=False) for candle in DAY.candles[:3]]
    assert [one is not None and one.failure is not None for one in told] == [True, False, False]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


class Weird(BaseException):
    """Derives from no Exception."""


class Mute(BaseException):
    def __str__(self) -> str:
        raise Weird

    __repr__ = __str__

    @property
    def __notes__(self) -> list[str]:  # what a traceback is made of as well
        raise Weird


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (Unspeakable(), "Unspeakable: a Unspeakable that cannot be said"),
        (Weird("no\nreason"), "Weird: no reason"),
        (Mute(), "Mute: a Mute that cannot be said"),
        (GeneratorExit(), "GeneratorExit:"),
    ],
)
def test_a_strategy_that_leaves_or_raises_what_cannot_be_said_holds(raised, said):
    class Leaving(Faulty):
        def on_candle(self, candle: Candle, context: Context) -> Decision:
            raise raised

    made = runner(Leaving)
    made.rebuild(DAY.open_ns, ())
    settled = made.on_candle(DAY.candles[0], paused=False)
    assert settled is not None
    assert settled.decision == hold(f"strategy_error: {said}")
    assert "in on_candle" in (settled.failure or "")


def test_the_person_at_the_keyboard_ends_a_strategy_that_runs():
    class Interrupted(Faulty):
        def on_candle(self, candle: Candle, context: Context) -> Decision:
            raise KeyboardInterrupt

    made = runner(Interrupted)
    made.rebuild(DAY.open_ns, ())
    with pytest.raises(KeyboardInterrupt):
        made.on_candle(DAY.candles[0], paused=False)


@pytest.mark.parametrize("where", ["__init__", "on_candle", "on_tick", "warm_up"])
def test_whatever_a_strategy_raises_wherever_ends_nothing(where):
    def raises(*_: object) -> None:
        raise Mute

    made = runner(type("Raising", (Faulty,), {where: raises, "WANTS_TICKS": True}))
    made.rebuild(DAY.open_ns, DAY.candles[:2])
    made.on_candle(DAY.candles[2], paused=False)
    tick = Tick(DAY.candles[3].ts_open_ns, 100, 0)
    made.on_tick(tick, ts_event_ns=tick.ts_event_ns, paused=False)


class Text(str):
    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, _: object) -> str:
        raise Weird

    def __bool__(self) -> bool:
        return True


class Lazy(Decision):
    @property
    def confidence(self) -> float:  # type: ignore[override]
        raise Weird("not yet")


def liar() -> object:
    return type("Liar", (), {"__class__": property(lambda _: sys.exit(3))})()


@pytest.mark.parametrize(
    ("made_of", "reason"),
    [
        (lambda: Decision(Action.HOLD, Text("because")), "because"),
        (lambda: object.__new__(Lazy), "strategy_error: AttributeError"),
        (liar, "strategy_error: SystemExit: 3"),
    ],
    ids=["text", "lazy", "liar"],
)
def test_an_answer_of_a_class_of_its_own_is_taken_as_what_it_says_or_told(made_of, reason):
    class Answering(Faulty):
        def on_candle(self, candle: Candle, context: Context) -> Decision:
            return made_of()

    made = runner(Answering)
    made.rebuild(DAY.open_ns, ())
    [decision] = answers(made, list(DAY.candles[:1]))
    assert type(decision.reason) is str
    assert decision.action is Action.HOLD
    assert decision.reason.startswith(reason)


def test_a_strategy_that_cannot_be_made_holds_on_every_candle():
    made = runner(Unmakeable)
    assert "cannot be made" in (made.rebuild(DAY.open_ns, ()) or "")
    assert [one.reason for one in answers(made, list(DAY.candles[:2]))] == [
        "strategy_error: RuntimeError: the strategy could not be created"
    ] * 2


def test_a_candle_is_decided_on_once_and_only_on_a_trading_day():
    made = runner(Faulty)
    made.rebuild(DAY.open_ns, ())
    assert made.on_candle(DAY.candles[0], paused=False) is not None
    assert made.on_candle(DAY.candles[0], paused=False) is None
    sunday_ns = DAY.open_ns + 6 * 86_400_000_000_000
    sunday = Candle(sunday_ns, sunday_ns + 60, 1, 1, 1, 1, 0)
    assert made.needs_rebuild(sunday_ns)
    made.rebuild(sunday_ns, (sunday,))
    assert made.on_candle(sunday, paused=False) is None
    assert made.on_tick(Tick(sunday_ns, 0, 0), ts_event_ns=sunday_ns, paused=False) is None


def test_a_tick_counts_from_the_instant_it_is_given_and_one_from_before_the_candle_not_at_all():
    made = runner(Faulty)
    made.rebuild(DAY.open_ns, ())
    made.on_candle(DAY.candles[0], paused=False)
    end = DAY.candles[0].ts_close_ns
    assert made.on_tick(Tick(end - 1, 0, 0), ts_event_ns=end - 1, paused=False) is None
    said = made.on_tick(Tick(end, 0, 0), ts_event_ns=end + 1, paused=False)
    assert said is not None
    assert (said.moment.ts_event_ns, said.moment.cause, said.decision) == (end + 1, "tick", hold("no price"))
    assert made.on_tick(Tick(end, 5, 0), ts_event_ns=end, paused=False) is None
    raised = made.on_tick(Tick(end, 5, 1), ts_event_ns=end, paused=False)
    assert raised is not None
    assert raised.decision == hold("strategy_error: ValueError: no tick")


def opened(session_id: str, *names: str, symbols: tuple[str, ...] = ("NIFTY", "BANKNIFTY")) -> ActiveSession:
    strategies = tuple(StrategySpec(name=name) for name in names)
    spec = SessionSpec(session_id=session_id, user_id="u", symbols=symbols, strategies=strategies, capital_paise=1)
    return open_session(spec, instruments=INSTRUMENTS, book=PositionBook(), paused=False)


def found(active: ActiveSessions, timeframe_seconds: int, instrument: int) -> list[tuple[str, str]]:
    return [
        (one.runner.source.key.session_id, one.runner.source.key.strategy)
        for one in active.on_candle_of(timeframe_seconds, instrument)
    ]


@given(st.permutations(["a", "b", "c"]))
def test_who_hears_a_candle_comes_in_one_order_however_the_sessions_came(order):
    active = ActiveSessions()
    for session_id in order:
        active.add(opened(session_id, "orb", "ema_20_50"))
    assert found(active, 60, 0) == [("a", "orb"), ("b", "orb"), ("c", "orb")]
    assert found(active, 300, 1) == [("a", "ema_20_50"), ("b", "ema_20_50"), ("c", "ema_20_50")]
    assert found(active, 180, 0) == found(active, 60, 9) == []
    assert not active.wants_ticks
    assert active.remove("b")
    assert not active.remove("b")
    assert found(active, 60, 0) == [("a", "orb"), ("c", "orb")]


def test_a_session_added_again_stays_as_it_is():
    active = ActiveSessions()
    first = opened("a", "orb")
    active.add(first)
    active.add(opened("a", "orb"))
    assert active.get("a") is first
    assert len(found(active, 60, 0)) == 1


def test_an_alias_and_its_symbol_are_one_instrument_with_its_canonical_name():
    session = opened("a", "orb", symbols=("NIFTY50", "NIFTY"))
    assert [one.source.key.symbol for one in session.runners] == ["NIFTY"]


def test_what_cannot_be_traded_is_named():
    with pytest.raises(InvalidInput, match="unknown symbol 'NIFTTY'"):
        opened("a", "orb", symbols=("NIFTTY",))
    with pytest.raises(InvalidInput, match="strategy 'orb' stands twice in session a"):
        opened("a", "orb", "orb")
