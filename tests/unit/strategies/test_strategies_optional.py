"""What is only better to have: shown where the feed has it, done without where it has not."""

from collections.abc import Sequence
from datetime import date

import pytest
from testkit.strategy_days import Day, generated_days

from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.kernel.errors import InvalidInput
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.sessions import ActiveSessions, found_here, open_session
from tradebus.strategies.lane.shared import SharedLane, SharedRunner
from tradebus.strategies.market_views import Chain, ChainOption, ChainStrike, Quote
from tradebus.strategies.needs import OPTIONAL, Needs, Wanted
from tradebus.strategies.protocol import Action, Decision
from tradebus.strategies.roles import HISTORY, Offered, granted, resolve

NIFTY = Instrument(
    instrument_id=0, symbol="NIFTY", kind="INDEX", market_class="index", underlying="NIFTY", tick_size_paise=5
)
MASTER = InstrumentMaster([NIFTY])
FULL = Offered("feed kite", frozenset({"NIFTY"}), frozenset({"NIFTY"}))
UNKNOWN = Offered("the feed", None, None)
OTHERS = Offered("feed kite", frozenset({"TCS"}), frozenset({"BANKNIFTY"}))
SPEC = SessionSpec(
    session_id="s", user_id="u", symbols=("NIFTY",), strategies=(StrategySpec(name="orb"),), capital_paise=1
)  # fmt: skip


class Seen:
    """A market whose chain has so many puts for each call; none where that is None."""

    def __init__(self, ratio: float | None) -> None:
        self._ratio = ratio

    def quote_of(self, instrument: int, ts_ns: int) -> Quote | None:
        return None

    def chain_of(self, instrument: int, ts_ns: int) -> Chain | None:
        if self._ratio is None:
            return None
        call, put = (ChainOption(1, 1, 1, 0, number, 0, None) for number in (100, round(100 * self._ratio)))
        return Chain("NIFTY", date(2024, 1, 4), ts_ns, (ChainStrike(1, call, put),))


@pytest.mark.parametrize("name", ["quotes", "chain"])
@pytest.mark.parametrize(
    ("wanted", "offered", "given"),
    [
        (OPTIONAL, FULL, OPTIONAL), (OPTIONAL, UNKNOWN, OPTIONAL), (OPTIONAL, OTHERS, False),
        (OPTIONAL, HISTORY, False), (True, FULL, True), (True, UNKNOWN, True), (False, FULL, False),
    ],
)  # fmt: skip
def test_what_is_optional_is_granted_where_the_feed_has_it(
    name: str, wanted: Wanted, offered: Offered, given: Wanted
) -> None:
    needs = Needs(**{name: wanted})  # type: ignore[arg-type]
    assert granted(needs, NIFTY, offered) == Needs(**{name: given})  # type: ignore[arg-type]
    assert Needs.from_json(needs.as_json()) == needs
    assert not resolve(
        needs, NIFTY, own_timeframe_seconds=60, instruments=MASTER, day=date.min, what="s", offered=offered
    )  # fmt: skip


@pytest.mark.parametrize("offered", [FULL, UNKNOWN, OTHERS, HISTORY])
def test_no_feed_has_the_order_flow_so_it_is_refused_or_done_without(offered: Offered) -> None:
    def ask(needs: Needs) -> object:
        return resolve(
            needs, NIFTY, own_timeframe_seconds=60, instruments=MASTER, day=date.min, what="strategy 's'",
            offered=offered,
        )  # fmt: skip

    assert granted(Needs(flow=OPTIONAL), NIFTY, offered) == Needs()
    assert not ask(Needs(flow=OPTIONAL))
    said = f"strategy 's' needs the order flow of NIFTY's future: {offered.feed} has none, nor has another yet"
    with pytest.raises(InvalidInput, match=f"^{said}: the nearest there is: quotes, .* with flow=OPTIONAL"):
        ask(Needs(flow=True))
    assert Needs.from_json(Needs(flow=True).as_json()) == Needs(flow=True)


@pytest.mark.parametrize("name", ["quotes", "chain", "flow"])
@pytest.mark.parametrize("wanted", ["yes", None, 1.5, []])
def test_what_is_neither_is_named(name: str, wanted: object) -> None:
    needs = Needs(**{name: wanted})  # type: ignore[arg-type]
    assert f"NEEDS: {name} must be True, False or OPTIONAL" in str(needs.problem())
    with pytest.raises(ValueError, match=name):
        Needs.from_json(needs.as_json())


def decided(days: Sequence[Day], offered: Offered, seen: Seen) -> list[Decision]:
    """What `orb` decides on the last day, never in a position."""
    session = open_session(
        SPEC, instruments=MASTER, book=PositionBook(), paused=False,
        found=[found_here(SPEC.strategies[0], SharedLane())],
        offered=offered, seen=seen,
    )  # fmt: skip
    (runner,) = session.runners
    runner.rebuild(days[-1].open_ns, [candle for day in days[:-1] for candle in day.candles])
    settled = [runner.on_candle(candle, paused=False) for candle in days[-1].candles]
    return [one.decision for one in settled if one is not None]


@pytest.mark.parametrize("seed", range(3))
def test_orb_sees_the_ratio_where_there_is_a_chain_and_runs_without_where_there_is_none(seed: int) -> None:
    days = generated_days(3, seed=seed)
    without = decided(days, HISTORY, Seen(2.0))
    assert any(one.action in (Action.ENTER_LONG, Action.ENTER_SHORT) for one in without)
    assert decided(days, FULL, Seen(None)) == without  # not shown yet: neutral, and nothing is held back
    assert decided(days, OTHERS, Seen(2.0)) == without
    for ratio, agrees in ((2.0, Action.ENTER_LONG), (0.5, Action.ENTER_SHORT)):
        for one in decided(days, FULL, Seen(ratio)):
            if one.action in (Action.ENTER_LONG, Action.ENTER_SHORT):
                assert f"put-call ratio {'for' if one.action is agrees else 'against'}" in one.reason


def test_orb_is_one_computation_for_all_where_no_chain_is_offered_and_its_chain_is_read_where_one_is() -> None:
    for offered, shared, underlyings in ((HISTORY, True, {}), (FULL, False, {0: "NIFTY"})):
        active = ActiveSessions()
        session = open_session(
            SPEC, instruments=MASTER, book=PositionBook(), paused=False,
            found=[found_here(SPEC.strategies[0], SharedLane())], offered=offered, seen=Seen(1.0),
        )  # fmt: skip
        active.add(session)
        assert isinstance(session.runners[0], SharedRunner) is shared
        assert active.chain_underlyings == underlyings
