"""Legs in the lane: by role, all or none, one signal each, left together."""

import json
import math
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.calendar import session_for
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.contracts.signals import Side
from tradebus.runtime.isolation.wire import answer_fields, ask_from, settled_from, step_of
from tradebus.strategies.info import info_of
from tradebus.strategies.lane.asking import Settled
from tradebus.strategies.lane.decisions import row_of, row_of_signal
from tradebus.strategies.lane.legs import signals_of
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.runner import Runner
from tradebus.strategies.lane.sessions import found_class, open_session
from tradebus.strategies.needs import Call, Needs, Put, Series, Symbol, Underlying
from tradebus.strategies.protocol import Action, Candle, Context, Decision, RoleLeg, Strategy, StrategyParameters, hold
from tradebus.strategies.roles import Offered
from tradebus.trading.facts import EntrySignal, ExitSignal, PositionClosed, PositionOpened, Signal
from tradebus.trading.legs import group_id, is_group_of, leg_pos_id

DAY, EXPIRY = date(2024, 1, 2), date(2024, 1, 4)
SESSION = session_for(DAY, "derivative")
assert SESSION is not None
OPEN_NS, MINUTE_NS = SESSION.open_ns, 60_000_000_000


def instrument(number: int, symbol: str, kind: Any = "OPTION", **terms: Any) -> Instrument:
    return Instrument(
        instrument_id=number, symbol=symbol, kind=kind, market_class="derivative", underlying="NIFTY",
        tick_size_paise=5, **terms,
    )  # fmt: skip


NIFTY = instrument(0, "NIFTY", "INDEX")
CALL = instrument(1, "CE", expiry=EXPIRY, strike_paise=2_150_000, right="CE")
PUT = instrument(2, "PE", expiry=EXPIRY, strike_paise=2_150_000, right="PE")
MASTER = InstrumentMaster([NIFTY, CALL, PUT])
SOLD = RoleLeg(Call(), Side.SHORT, stop_paise=13_000, target_paise=5_000)
BOUGHT = RoleLeg(Put(), Side.LONG, stop_paise=7_000, ratio=2)
ENTER = Decision(Action.ENTER_LEGS, "go", confidence=0.6, legs=(SOLD, BOUGHT))


class Raising(RoleLeg):
    """A leg of a class of the user's own."""

    def levels_at(self, price_paise: int) -> tuple[int | None, int | None]:
        raise RuntimeError("no")


class Answers(Strategy[StrategyParameters]):
    """Says what it was told to say, and keeps what it was shown."""

    NAME = "answers"
    PARAMETERS = StrategyParameters
    NEEDS = Needs(instruments=(Underlying(), Call(), Put()))

    def __init__(self, parameters: StrategyParameters) -> None:
        super().__init__(parameters)
        self.answer: Any = hold("nothing")
        self.shown: list[Context] = []

    def on_candle(self, candle: Candle, context: Context) -> Decision:
        self.shown.append(context)
        return self.answer  # type: ignore[no-any-return]


class Lane:
    """One strategy on each symbol of a session, hearing minutes."""

    def __init__(self, symbols: tuple[str, ...] = ("NIFTY",)) -> None:
        self.book = PositionBook()
        self.made: list[Answers] = []
        spec = SessionSpec(
            session_id="session", user_id="asha", symbols=symbols, strategies=(StrategySpec(name="answers"),),
            capital_paise=1,
        )  # fmt: skip
        self.runners: list[Runner] = open_session(
            spec, instruments=MASTER, book=self.book, paused=False, day=DAY,
            found=[found_class(info_of(Answers), self._make)],
            offered=Offered(closes_paise={0: 2_150_000}),
        ).runners  # fmt: skip
        for runner in self.runners:
            runner.rebuild(OPEN_NS, [])

    def _make(self) -> Answers:
        self.made.append(Answers(StrategyParameters()))
        return self.made[-1]

    def price(self, symbol: str, close_paise: int, minute: int = 1) -> None:
        for runner in self.runners:
            for heard in runner.asking.inputs.values():
                for series in heard:
                    if series.symbol == symbol:
                        runner.on_input(candle(minute, close_paise), series)

    def prices(self, minute: int = 1) -> None:
        self.price("CE", 10_000, minute)
        self.price("PE", 9_000, minute)

    def decide(self, answer: Any, minute: int = 1, *, paused: bool = False, number: int = 0) -> Settled:
        self.made[number].answer = answer
        settled = self.runners[number].on_candle(candle(minute, 2_150_000), paused=paused)
        assert settled is not None
        return settled

    def signals(self, settled: Settled, number: int = 0) -> list[Signal]:
        return signals_of(
            settled.decision, self.runners[number].source, settled.moment, position=settled.position,
            group=settled.group, legs=settled.legs,
        )  # fmt: skip

    def open(self, signal: Signal, *, minute: int) -> None:
        assert isinstance(signal, EntrySignal)
        self.book.apply(
            PositionOpened(
                event_id=f"o{signal.pos_id}", ts_event_ns=OPEN_NS + minute * MINUTE_NS + 1, trace_id="t",
                session_id=signal.session_id, user_id="asha", pos_id=signal.pos_id, group_id=signal.group_id,
                strategy=signal.strategy, symbol=signal.symbol, instrument=signal.instrument, side=signal.side,
                quantity=50, average_price_paise=signal.price_paise, stop_paise=signal.stop_paise, target_paise=None,
            )
        )  # fmt: skip

    def close(self, signal: Signal, *, minute: int) -> None:
        self.book.apply(
            PositionClosed(
                event_id=f"c{signal.pos_id}", ts_event_ns=OPEN_NS + minute * MINUTE_NS + 1, trace_id="t",
                session_id=signal.session_id, user_id="asha", pos_id=signal.pos_id, group_id=signal.group_id,
                strategy=signal.strategy, symbol=signal.symbol, instrument=signal.instrument, side=signal.side,
                quantity=50, entry_price_paise=1, exit_price_paise=1, gross_pnl_paise=0, charges_paise=0,
                net_pnl_paise=0, r_multiple=None, mae_r=None, mfe_r=None, reason="stop", opened_ts_ns=OPEN_NS,
            )
        )  # fmt: skip


def candle(minute: int, close_paise: int) -> Candle:
    closes_ns = OPEN_NS + minute * MINUTE_NS
    return Candle(closes_ns - MINUTE_NS, closes_ns, close_paise, close_paise, close_paise, close_paise, 1)


@pytest.fixture
def lane() -> Lane:
    made = Lane()
    made.prices()
    return made


def test_an_entry_of_legs_is_one_signal_each_under_one_id_the_bought_ones_first(lane: Lane) -> None:
    settled = lane.decide(ENTER)
    bought, sold = lane.signals(settled)
    assert isinstance(bought, EntrySignal)
    assert isinstance(sold, EntrySignal)
    named = group_id("session", "answers", "NIFTY", OPEN_NS + MINUTE_NS)
    assert [bought.group_id, sold.group_id] == [named, named]
    assert [bought.symbol, sold.symbol] == ["PE", "CE"]
    assert [bought.side, sold.side] == [Side.LONG, Side.SHORT]
    assert [bought.price_paise, sold.price_paise] == [9_000, 10_000]
    assert [bought.pos_id, sold.pos_id] == [leg_pos_id(named, "PE"), leg_pos_id(named, "CE")]
    assert bought.event_id != sold.event_id
    assert bought.trace_id == sold.trace_id
    assert bought.group == sold.group
    assert bought.group is not None
    assert [(leg.symbol, leg.ratio, leg.target_paise) for leg in bought.group.legs] == [
        ("PE", 2, None),
        ("CE", 1, 5_000),
    ]


def test_every_leg_tells_the_one_row_of_the_journal(lane: Lane) -> None:
    settled = lane.decide(ENTER)
    signals = lane.signals(settled)
    row = row_of(settled.decision, lane.runners[0].source, settled.moment, group_id=signals[0].group_id)
    assert [row_of_signal(one) for one in signals] == [row, row]
    assert (row.action, row.instrument, row.price_paise) == ("ENTER_LEGS", 0, 2_150_000)


def test_stop_and_target_in_per_cent_are_of_each_legs_own_price(lane: Lane) -> None:
    sold = replace(SOLD, stop_paise=None, target_paise=None, stop_pct=30, target_pct=12.5)
    bought = replace(BOUGHT, stop_paise=None, stop_pct=0.01)
    signals = lane.signals(lane.decide(replace(ENTER, legs=(sold, bought))))
    levels = [(one.symbol, one.stop_paise, one.target_paise) for one in signals if isinstance(one, EntrySignal)]
    assert levels == [("PE", 8_999, None), ("CE", 13_000, 8_750)]


@given(st.integers(1, 300), st.permutations([SOLD, BOUGHT]))
def test_what_is_asked_again_has_the_same_ids(minute: int, legs: list[RoleLeg]) -> None:
    asked = []
    for _ in range(2):
        lane = Lane()
        lane.prices(minute)
        asked.append(lane.signals(lane.decide(replace(ENTER, legs=tuple(legs)), minute)))
    assert asked[0] == asked[1]
    assert len({one.event_id for one in asked[0]}) == len({one.pos_id for one in asked[0]}) == 2
    assert {one.group_id for one in asked[0]} == {group_id("session", "answers", "NIFTY", OPEN_NS + minute * MINUTE_NS)}


@pytest.mark.parametrize(
    ("legs", "said"),
    [
        ((), "strategy_error: ValueError: ENTER_LEGS needs legs"),
        ([SOLD], "strategy_error: ValueError: ENTER_LEGS needs legs"),
        ((SOLD, "PE"), "strategy_error: TypeError: leg 'PE' is no RoleLeg"),
        ((Raising(Call(), Side.SHORT, stop_pct=5),), "is no RoleLeg with a role of NEEDS"),
        ((replace(SOLD, role="call+0"),), "is no RoleLeg with a role of NEEDS"),
        ((replace(SOLD, side="SHORT"),), "needs a Side"),
        ((replace(SOLD, ratio=1.5),), "a whole ratio"),
        ((replace(SOLD, ratio=0),), "a ratio of 0 is not within"),
        ((SOLD, replace(SOLD, side=Side.LONG, stop_paise=9_000, target_paise=None)), "each contract once"),
        ((SOLD, replace(BOUGHT, role=Put(-1))), "leg put-1: NEEDS does not have it"),
        ((SOLD, replace(BOUGHT, role=Symbol("PE"))), "leg PE: NEEDS does not have it"),
        ((SOLD, replace(BOUGHT, stop_paise=9_000)), "stop 9000 is not on the losing side of LONG at 9000 (leg put+0)"),
        ((replace(SOLD, target_paise=10_000),), "target 10000 is not on the winning side"),
        ((replace(SOLD, stop_paise=None),), "an entry needs stop_paise"),
        ((replace(SOLD, stop_pct=30),), "leg call+0: stop_paise and stop_pct are one level: give one of them"),
        ((replace(SOLD, target_pct=30.0),), "target_paise and target_pct are one level"),
        ((replace(SOLD, stop_paise=None, stop_pct=0),), "stop_pct must be above 0 and at most 1000, got 0"),
        ((replace(SOLD, stop_paise=None, stop_pct=math.nan),), "stop_pct must be above 0 and at most 1000, got nan"),
        ((replace(SOLD, stop_paise=None, stop_pct=math.inf),), "stop_pct must be above 0"),
        ((replace(SOLD, stop_paise=None, stop_pct=True),), "stop_pct must be above 0"),
        ((replace(SOLD, stop_paise=None, stop_pct="30"),), "stop_pct must be above 0"),
        ((replace(BOUGHT, stop_paise=None, stop_pct=100),), "an int above 0, got 0 (leg put+0)"),
        ((replace(SOLD, target_paise=None, target_pct=100.0),), "target_paise must be an int above 0 or None, got 0"),
    ],
)
def test_legs_that_cannot_be_are_a_hold_that_says_why_and_none_is_asked_for(lane: Lane, legs: Any, said: str) -> None:
    settled = lane.decide(replace(ENTER, legs=legs))
    assert settled.decision.action is Action.HOLD
    assert said in settled.decision.reason
    assert lane.signals(settled) == []


def test_legs_belong_to_their_action_only(lane: Lane) -> None:
    settled = lane.decide(Decision(Action.ENTER_LONG, "go", stop_paise=2_140_000, legs=(SOLD,)))
    assert settled.decision == hold("strategy_error: ValueError: legs belong to ENTER_LEGS, not to ENTER_LONG")


def test_a_leg_without_a_price_of_the_day_lets_none_in() -> None:
    lane = Lane()
    lane.price("CE", 10_000)
    lane.price("PE", 9_000, minute=-24 * 60)
    assert lane.decide(ENTER).decision == hold("no_price: PE (put+0) has not traded today: go")
    lane.price("PE", 9_000, minute=2)
    assert lane.decide(ENTER, 2).decision is ENTER


def test_the_own_symbol_may_be_a_leg_at_its_own_price(lane: Lane) -> None:
    own = RoleLeg(Underlying(), Side.LONG, stop_paise=2_140_000)
    settled = lane.decide(replace(ENTER, legs=(own, SOLD)))
    assert [(one.symbol, one.price_paise) for one in lane.signals(settled)] == [("NIFTY", 2_150_000), ("CE", 10_000)]


def test_a_paused_session_enters_no_leg(lane: Lane) -> None:
    assert lane.decide(ENTER, paused=True).decision == hold("session_paused: go")


def test_open_legs_are_shown_and_an_exit_leaves_them_all(lane: Lane) -> None:
    bought, sold = lane.signals(lane.decide(ENTER))
    lane.open(bought, minute=1)
    lane.open(sold, minute=1)
    settled = lane.decide(Decision(Action.EXIT, "enough"), 2)
    context = lane.made[0].shown[-1]
    assert context.position is None
    assert {(leg.role, leg.symbol, leg.position.side) for leg in context.legs} == {
        ("call+0", "CE", Side.SHORT), ("put+0", "PE", Side.LONG)
    }  # fmt: skip
    exits = lane.signals(settled)
    assert {one.pos_id for one in exits} == {bought.pos_id, sold.pos_id}
    assert all(isinstance(one, ExitSignal) and one.group_id == bought.group_id for one in exits)
    row = row_of(settled.decision, lane.runners[0].source, settled.moment, group_id=bought.group_id)
    assert [row_of_signal(one) for one in exits] == [row, row]


def test_a_leg_that_has_ended_is_shown_no_more_and_without_legs_there_is_nothing_to_leave(lane: Lane) -> None:
    bought, sold = lane.signals(lane.decide(ENTER))
    for one in (bought, sold):
        lane.open(one, minute=1)
    lane.close(sold, minute=2)
    lane.decide(hold("wait"), 3)
    assert [leg.symbol for leg in lane.made[0].shown[-1].legs] == ["PE"]
    lane.close(bought, minute=3)
    assert lane.decide(Decision(Action.EXIT, "enough"), 4).decision == hold("exit_without_position: enough")


def test_legs_are_shown_to_who_asked_for_them_alone() -> None:
    lane = Lane(("NIFTY", "CE"))
    lane.prices()
    bought, sold = lane.signals(lane.decide(ENTER))
    for one in (bought, sold):
        lane.open(one, minute=1)
    other = lane.decide(Decision(Action.EXIT, "enough"), 2, number=1)  # trades one of the legs itself
    assert other.decision == hold("exit_without_position: enough")
    assert lane.made[1].shown[-1].legs == ()
    assert is_group_of(bought.group_id or "", "session", "answers", "NIFTY")


def test_a_process_of_its_own_is_shown_and_says_the_same(lane: Lane) -> None:
    bought, sold = lane.signals(lane.decide(ENTER))
    for one in (bought, sold):
        lane.open(one, minute=1)
    asking = lane.runners[0].asking
    ask = asking.on_candle(candle(2, 2_150_000))
    assert ask is not None
    assert ask.moment is not None
    assert ask_from(step_of(ask, 1)).context == ask.context
    assert ask.context.legs
    fields = answer_fields(ENTER, ask.moment.price_paise)
    settled = settled_from(fields, ask, asking, paused=False)
    assert settled == asking.settled(ask, ENTER, paused=False)
    by_part = replace(ENTER, legs=(replace(SOLD, stop_paise=None, stop_pct=30), replace(BOUGHT, target_pct=7.5)))
    said = settled_from(answer_fields(by_part, ask.moment.price_paise), ask, asking, paused=False)
    assert said == asking.settled(ask, by_part, paused=False)
    assert said is not None
    assert said.group is not None
    endless = answer_fields(replace(ENTER, legs=(replace(SOLD, ratio=10**5_000),)), ask.moment.price_paise)
    said = settled_from(json.loads(json.dumps(endless)), ask, asking, paused=False)
    assert said is not None
    assert "leg call+0 needs a Side and a whole ratio" in said.decision.reason
    for nonsense in ([["call", 0]], [[["nothing", 0], "SHORT", 1, None, 1]], [3], 7):
        assert fields is not None
        refused = settled_from([*fields[:-1], nonsense], ask, asking, paused=False)
        assert refused is not None
        assert refused.decision == hold("strategy_error: its process sent what is no leg")


def test_what_hears_no_role_has_no_legs() -> None:
    class Alone(Answers):
        NEEDS = Needs()

    lane = Lane()
    spec = SessionSpec(
        session_id="session", user_id="asha", symbols=("NIFTY",), strategies=(StrategySpec(name="answers"),),
        capital_paise=1,
    )  # fmt: skip
    alone = Alone(StrategyParameters())
    alone.answer = ENTER
    runner = open_session(
        spec, instruments=MASTER, book=lane.book, paused=False, found=[found_class(info_of(Alone), lambda: alone)]
    ).runners[0]
    runner.rebuild(OPEN_NS, [])
    assert runner.on_input(candle(1, 10_000), Series("call+0", "CE", 60)) is None
    settled = runner.on_candle(candle(1, 2_150_000), paused=False)
    assert settled is not None
    assert settled.decision == hold("strategy_error: ValueError: NEEDS has no instruments for legs")
