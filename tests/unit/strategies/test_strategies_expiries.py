"""Contracts by their expiry: the nearest, the next, the month's own and that of the month after."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.calendar import front_month_expiry, session_for, weekly_expiry
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.kernel.errors import InvalidInput
from tradebus.strategies.info import info_of
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.sessions import found_class, open_session
from tradebus.strategies.needs import (
    MONTHLY,
    NEAREST,
    NEXT,
    NEXT_MONTHLY,
    Call,
    Expiry,
    Future,
    Needs,
    Put,
    Role,
    Series,
    role_as_json,
    role_from_json,
)
from tradebus.strategies.protocol import (
    Action,
    Candle,
    Context,
    Decision,
    RoleLeg,
    Side,
    Strategy,
    StrategyParameters,
    hold,
)
from tradebus.strategies.roles import Offered, find_role

FIRST, MONEY = date(2024, 1, 1), 2_150_000
WEEKS = [weekly_expiry("NIFTY", FIRST + timedelta(weeks=week)) for week in range(14)]
LISTED = [expiry for expiry in WEEKS if expiry is not None]  # weeklies and monthlies of January to March
JANUARY, FEBRUARY, MARCH = date(2024, 1, 25), date(2024, 2, 29), date(2024, 3, 28)


def instrument(number: int, symbol: str, kind: Any, **terms: Any) -> Instrument:
    return Instrument(
        instrument_id=number, symbol=symbol, kind=kind, market_class="derivative", underlying="NIFTY",
        tick_size_paise=5, **terms,
    )  # fmt: skip


NIFTY = instrument(0, "NIFTY", "INDEX")


def master_of(options: Iterable[date], futures: Iterable[date] = ()) -> InstrumentMaster:
    found = [NIFTY]
    for expiry in sorted(options):
        found += [
            instrument(
                len(found) + place, f"O{expiry:%y%m%d}{right}", "OPTION", expiry=expiry, strike_paise=MONEY, right=right
            )
            for place, right in enumerate(("CE", "PE"))
        ]  # fmt: skip
    for expiry in futures:
        found.append(instrument(len(found), f"F{expiry:%y%m%d}", "FUTURE", expiry=expiry))
    return InstrumentMaster(found)


def found(role: Role, master: InstrumentMaster, day: date) -> Instrument:
    offered = Offered(closes_paise={0: MONEY})
    return find_role(role, NIFTY, instruments=master, day=day, what="strategy 's'", offered=offered)


def expiry_of(choice: Expiry, master: InstrumentMaster, day: date) -> date | None:
    try:
        return found(Call(expiry=choice), master, day).expiry
    except InvalidInput:
        return None


def test_traders_names_on_the_days_around_two_monthly_expiries() -> None:
    master = master_of(LISTED)
    for day, wanted in {
        date(2024, 1, 2): (date(2024, 1, 4), date(2024, 1, 11), JANUARY, FEBRUARY),
        date(2024, 1, 18): (date(2024, 1, 18), JANUARY, JANUARY, FEBRUARY),
        JANUARY: (JANUARY, date(2024, 2, 1), JANUARY, FEBRUARY),  # it expires at the end of its day
        JANUARY + timedelta(days=1): (date(2024, 2, 1), date(2024, 2, 8), FEBRUARY, MARCH),
    }.items():
        assert tuple(expiry_of(choice, master, day) for choice in Expiry) == wanted


@given(st.sets(st.sampled_from(LISTED), min_size=1), st.integers(0, 88))
def test_what_is_found_lives_and_a_monthly_is_never_a_weekly(listed: set[date], days: int) -> None:
    master, day = master_of(listed), FIRST + timedelta(days=days)
    living = sorted(expiry for expiry in listed if expiry >= day)
    front = front_month_expiry("NIFTY", day)
    months = [front, front_month_expiry("NIFTY", front + timedelta(days=1))]
    assert expiry_of(NEAREST, master, day) == next(iter(living), None)
    assert expiry_of(NEXT, master, day) == next(iter(living[1:]), None)
    for choice, monthly in zip((MONTHLY, NEXT_MONTHLY), months, strict=True):
        assert expiry_of(choice, master, day) == (monthly if monthly in living else None)


@given(st.sets(st.sampled_from(LISTED), min_size=1), st.integers(0, 88), st.sampled_from(list(Expiry)))
def test_what_cannot_be_had_is_refused_with_one_that_can(listed: set[date], days: int, choice: Expiry) -> None:
    master, day = master_of(listed), FIRST + timedelta(days=days)
    try:
        found(Put(expiry=choice), master, day)
    except InvalidInput as error:
        text = str(error)
        assert text.startswith(f"strategy 's' needs {Put(expiry=choice).name} of NIFTY")
        names = {Put(expiry=each).name: each for each in Expiry}
        named = next((name for name in reversed(names) if f"the nearest there is: {name}," in text), None)
        assert (named is None) == (max(listed) < day)
        if named is not None:
            assert text.endswith(f"which expires on {found(Put(expiry=names[named]), master, day).expiry}")


@pytest.mark.parametrize(
    ("role", "options", "said"),
    [
        (Call(1, expiry=MONTHLY), [date(2024, 1, 4), date(2024, 1, 11)],
         r"^strategy 's' needs call\+1@monthly of NIFTY: 2024-01-25 is not among those known: 2024-01-04, 2024-01-11; "
         r"the nearest there is: call\+1@next, which expires on 2024-01-11$"),
        (Put(-1, expiry=NEXT), [JANUARY],
         r"needs put-1@next of NIFTY: no second one is known beside 2024-01-25; the nearest there is: put-1, which"),
        (Call(expiry=NEXT_MONTHLY), [JANUARY, MARCH], r"2024-02-29 is not among those known: 2024-01-25, 2024-03-28; "
         r"the nearest there is: call\+0@next, which expires on 2024-03-28"),
        (Future(expiry=NEXT_MONTHLY), [], r"needs future@next_monthly of NIFTY: 2024-02-29 is not among those known: "
         r"2024-01-25; the nearest there is: future, which expires on 2024-01-25"),
    ],
)  # fmt: skip
def test_the_refusal_says_what_is_missing(role: Role, options: list[date], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        found(role, master_of(options, [JANUARY]), date(2024, 1, 2))


def test_futures_have_expiries_to_choose_from_too() -> None:
    master, day = master_of([], [JANUARY, FEBRUARY, MARCH]), date(2024, 1, 2)
    symbols = [found(Future(expiry=choice), master, day).symbol for choice in Expiry]
    assert symbols == ["F240125", "F240229", "F240125", "F240229"]
    assert found(Future(), master, JANUARY + timedelta(days=1)).symbol == "F240229"


def test_a_future_that_says_no_expiry_is_the_front_month_by_the_calendar() -> None:
    endless = instrument(9, "NIFTY_F1", "FUTURE")
    master = InstrumentMaster([NIFTY, endless, instrument(8, "F240229", "FUTURE", expiry=FEBRUARY)])
    for day, choices in {date(2024, 1, 2): [NEAREST, MONTHLY], JANUARY: [NEAREST, MONTHLY]}.items():
        assert [found(Future(expiry=choice), master, day) for choice in choices] == [endless, endless]
    assert found(Future(expiry=NEXT_MONTHLY), master, JANUARY).symbol == "F240229"
    assert found(Future(), master, JANUARY + timedelta(days=1)).symbol == "F240229"  # both: the one that is dated


@pytest.mark.parametrize("moved", [date(2024, 1, 24), date(2024, 1, 22)])
def test_an_expiry_that_the_exchange_moved_is_where_its_contracts_are(moved: date) -> None:
    options = [date(2024, 1, 4), date(2024, 1, 11), date(2024, 1, 18), moved]
    assert expiry_of(MONTHLY, master_of(options), date(2024, 1, 2)) == moved
    assert expiry_of(MONTHLY, master_of(options), moved + timedelta(days=1)) is None  # February's, which is not known
    out_of_its_week = date(2024, 1, 31)
    assert expiry_of(MONTHLY, master_of([*options[:3], out_of_its_week], [out_of_its_week]), FIRST) == out_of_its_week


ROLES: Sequence[Role] = [
    make(expiry=choice)  # type: ignore[operator]
    for choice in Expiry
    for make in (Future, lambda **terms: Call(2, **terms), lambda **terms: Put(-2, **terms))
]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_survives_the_way_to_another_process_and_the_nearest_is_said_as_ever(role: Role) -> None:
    said = role_as_json(role)
    assert role_from_json(said) == role
    assert len(said) == (2 if getattr(role, "expiry", None) is NEAREST else 3)
    needs = Needs(instruments=(role,))
    assert Needs.from_json(needs.as_json()) == needs


@pytest.mark.parametrize(
    "said",
    [
        ["call", 1, "weekly"], ["call", 1, 7], ["call", 1, []], ["call", 1, "next", "next"], ["symbol", "X", "next"],
        ["underlying", None, "next"], ["future", 3, "next"], ["call", "1"], ["call", 99, "next"], ["call", True],
        ["symbol", ["X"]], ["symbol", {}], [[], 1], ["call"], "call", 7, None, {"call": 1},
    ],
)  # fmt: skip
def test_what_is_no_role_is_refused(said: Any) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        role_from_json(said)


class Spread(Strategy[StrategyParameters]):
    """Near against the month's own."""

    NAME = "spread"
    WARMUP_CANDLES = 0
    PARAMETERS = StrategyParameters
    NEEDS = Needs(instruments=(Call(), Call(expiry=MONTHLY)))

    def __init__(self, parameters: StrategyParameters) -> None:
        super().__init__(parameters)
        self.answer: Any = hold("nothing")
        self.heard: list[str] = []

    def on_input(self, candle: Candle, series: Series, context: Context) -> None:
        self.heard.append(series.role)

    def on_candle(self, candle: Candle, context: Context) -> Decision:
        return self.answer  # type: ignore[no-any-return]


NEAR = RoleLeg(Call(), Side.SHORT, stop_paise=13_000)
FAR = RoleLeg(Call(expiry=MONTHLY), Side.LONG, stop_paise=7_000)


class Taken:
    """A session taken up on a day."""

    def __init__(self, day: date) -> None:
        spec = SessionSpec(
            session_id="s", user_id="u", symbols=("NIFTY",), strategies=(StrategySpec(name="spread"),), capital_paise=1
        )  # fmt: skip
        self.strategy = Spread(StrategyParameters())
        (self.runner,) = open_session(
            spec, instruments=master_of(LISTED), book=PositionBook(), paused=False, day=day,
            found=[found_class(info_of(Spread), lambda: self.strategy)], offered=Offered(closes_paise={0: MONEY}),
        ).runners  # fmt: skip

    def symbols(self) -> dict[str, str]:
        return {one.role: one.symbol for heard in self.runner.asking.inputs.values() for one in heard}

    def begin(self, day: date) -> None:
        assert self.runner.rebuild(candle(day, 0).ts_open_ns, ()) is None

    def price(self, day: date, symbols: Iterable[str]) -> None:
        for heard in self.runner.asking.inputs.values():
            for series in heard:
                if series.symbol in symbols:
                    self.runner.on_input(candle(day, 1), series)

    def decide(self, day: date, *legs: RoleLeg) -> Decision:
        self.strategy.answer = Decision(Action.ENTER_LEGS, "go", legs=legs)
        settled = self.runner.on_candle(candle(day, 2), paused=False)
        assert settled is not None
        return settled.decision


def candle(day: date, minute: int) -> Candle:
    session = session_for(day, "derivative")
    assert session is not None
    opens_ns = session.open_ns + minute * 60_000_000_000
    return Candle(opens_ns, opens_ns + 60_000_000_000, 10_000, 10_000, 10_000, 10_000, 1)


def test_one_contract_by_two_roles_is_heard_as_both_and_is_no_spread() -> None:
    taken = Taken(JANUARY)
    assert set(taken.symbols().values()) == {"O240125CE"}
    taken.begin(JANUARY)
    taken.price(JANUARY, {"O240125CE"})
    assert taken.strategy.heard == ["call+0", "call+0@monthly"]
    assert "each contract once" in taken.decide(JANUARY, NEAR, FAR).reason


def test_a_session_rolls_when_it_is_taken_up_again_and_enters_nothing_in_what_has_expired() -> None:
    """It keeps its contracts from the day on which it was taken up; what has expired has no price any more."""
    before, after = date(2024, 1, 23), JANUARY + timedelta(days=4)
    taken = Taken(before)
    assert taken.symbols() == {"call+0": "O240125CE", "call+0@monthly": "O240125CE"}
    for day in (before, JANUARY):
        taken.begin(day)
        taken.price(day, {"O240125CE"})
        assert taken.decide(day, NEAR).action is Action.ENTER_LEGS
    taken.begin(after)
    assert taken.decide(after, NEAR).reason.startswith("no_price: O240125CE (call+0) has not traded today")
    again = Taken(after)
    assert again.symbols() == {"call+0": "O240201CE", "call+0@monthly": "O240229CE"}
    again.begin(after)
    again.price(after, {"O240201CE", "O240229CE"})
    assert again.decide(after, NEAR, FAR).action is Action.ENTER_LEGS


@pytest.mark.parametrize(
    "role",
    [
        replace(Call(), steps="1"), replace(Call(), steps=True), replace(Future(), expiry="next"),
        replace(Put(), expiry=None), "call+0", None,
    ],
)  # fmt: skip
def test_a_leg_whose_role_is_none_is_a_hold_that_says_so(role: Any) -> None:
    taken = Taken(date(2024, 1, 2))
    taken.begin(date(2024, 1, 2))
    said = taken.decide(date(2024, 1, 2), replace(NEAR, role=role)).reason
    assert said.startswith("strategy_error: TypeError: leg ")
    assert "is no RoleLeg with a role of NEEDS" in said
