"""Options of the commands, and the lines a mistake is answered with."""

import re
from datetime import date
from pathlib import Path

import pytest

from services.cli.arguments import (
    paper_data,
    parse_day,
    parse_pairs,
    parse_speed,
    require_strategies,
    schedule_data,
    session_data,
    strategy_items,
)
from tradebus.kernel.errors import InvalidInput


def test_a_day_is_an_iso_date() -> None:
    assert parse_day("2024-01-31", option="--to") == date(2024, 1, 31)
    assert parse_day(None, option="--to") is None


@pytest.mark.parametrize("text", ["31-01-2024", "2024-13-01", "yesterday", ""])
def test_another_day_is_named_with_its_option(text: str) -> None:
    with pytest.raises(InvalidInput, match="--to"):
        parse_day(text, option="--to")


@pytest.mark.parametrize("text", ["max", "1", "0.5", "600"])
def test_a_speed_is_max_or_a_number_above_zero(text: str) -> None:
    assert parse_speed(text) == text


@pytest.mark.parametrize("text", ["fast", "0", "-1", "nan", "inf", "1e9", ""])
def test_another_speed_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="--speed"):
        parse_speed(text)


def test_pairs_are_json_where_they_can_be() -> None:
    found = parse_pairs(["a=5", "b=0.5", "c=true", "d=09:30", 'e="5"', "f="], option="--param")
    assert found == {"a": 5, "b": 0.5, "c": True, "d": "09:30", "e": "5", "f": ""}


@pytest.mark.parametrize(
    "pairs", [["a"], ["=5"], ["a=1", "a=2"], ["a=1", "a =2"], ["a=1e400"], ["a=NaN"], ["a=[-Infinity]"]]
)
def test_a_malformed_pair_is_named(pairs: list[str]) -> None:
    with pytest.raises(InvalidInput, match="--param"):
        parse_pairs(pairs, option="--param")


def test_parameters_find_their_strategy() -> None:
    items = strategy_items("orb, ema_20_50", [Path("mine.py")], ["orb.length=5", "mine.depth=2"])
    assert items[0] == {"name": "orb", "parameters": {"length": 5}}
    assert items[1] == {"name": "ema_20_50"}
    assert items[2] == {"name": "mine", "path": str(Path("mine.py").resolve()), "parameters": {"depth": 2}}


def test_one_strategy_needs_no_name_before_its_parameters() -> None:
    assert strategy_items("orb", [], ["length=5"]) == [{"name": "orb", "parameters": {"length": 5}}]


@pytest.mark.parametrize(
    ("names", "params", "problem"),
    [
        (None, [], "--strategy"),
        ("orb,ema_20_50", ["length=5"], "several"),
        ("orb", ["orbb.length=5"], "did you mean 'orb'"),
    ],
)
def test_parameters_that_fit_nothing_are_refused(names: str | None, params: list[str], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        strategy_items(names, [], params)


def test_strategies_are_checked_before_anything_starts(tmp_path: Path) -> None:
    require_strategies([{"name": "orb"}, {"name": "ema_20_50"}])
    with pytest.raises(InvalidInput, match="did you mean 'orb'"):
        require_strategies([{"name": "orbb"}])
    with pytest.raises(InvalidInput, match=r"parameters\.no_such"):
        require_strategies([{"name": "orb", "parameters": {"no_such": 1}}])
    with pytest.raises(InvalidInput, match=r"parameters\.reward_multiple"):
        require_strategies([{"name": "orb", "parameters": {"reward_multiple": "inf"}}])
    with pytest.raises(InvalidInput, match=r"nothing\.py"):
        require_strategies([{"name": "nothing", "path": str(tmp_path / "nothing.py")}])


@pytest.mark.parametrize("user", ["", "a b", "x" * 65, "asha\n"])
def test_a_user_is_named_as_the_gateway_takes_it(user):
    with pytest.raises(InvalidInput, match=r"--user .*: must be 1 to 64 letters, digits"):
        session_data([user], strategies=[], capital="1", limits=[], seed=1)


def test_how_stops_trail_is_told_for_every_user():
    trailing = ["distance_r=1", "step_pct=50"]
    data = session_data(["asha", "ravi"], strategies=[], capital="1", limits=[], seed=1, trailing=trailing)
    assert [one["trailing"] for one in data.values()] == [{"distance_r": 1, "step_pct": 50}] * 2
    assert "trailing" not in session_data(["asha"], strategies=[], capital="1", limits=[], seed=1)["asha"]
    with pytest.raises(InvalidInput, match="--trailing 'distance_r': write name=value"):
        session_data(["asha"], strategies=[], capital="1", limits=[], seed=1, trailing=["distance_r"])


def test_a_strategy_file_that_links_to_itself_is_not_followed_here(tmp_path):
    (tmp_path / "loop.py").symlink_to("loop.py")
    assert strategy_items(None, [tmp_path / "loop.py"], []) == [{"name": "loop", "path": str(tmp_path / "loop.py")}]


def test_a_schedule_is_written_by_commas() -> None:
    pairs = ["days=MON,thu", "days_to_expiry=0, 1,x", "expiry_days_only=true", "from=2026-12-01"]
    days = {"days": ["MON", "thu"], "days_to_expiry": [0, 1, "x"], "expiry_days_only": True, "from": "2026-12-01"}
    assert schedule_data(pairs) == days
    assert schedule_data(["days_to_expiry=0"]) == schedule_data(["days_to_expiry=[0]"]) == {"days_to_expiry": [0]}
    data = session_data(["asha"], strategies=[], capital="1", limits=[], seed=1, schedule=["days=MON"])
    assert data["asha"]["schedule"] == {"days": ["MON"]}
    assert "schedule" not in session_data(["asha"], strategies=[], capital="1", limits=[], seed=1)["asha"]
    with pytest.raises(InvalidInput, match="--schedule 'days'"):
        schedule_data(["days"])


def test_costs_and_fills_are_words_and_settings_with_the_nearest_named() -> None:
    assert paper_data(None, None, []) == {}
    found = paper_data("dhan", "touch", ["participation_pct=5", "slippage_bps=0.5"])
    assert found == {"charges": "dhan", "fills": "touch", "participation_pct": 5, "slippage_bps": 0.5}
    for given, said in (
        (("zerodah", None, []), "--charges 'zerodah': unknown (did you mean 'zerodha'?)"),
        ((None, "conservativ", []), "--fills 'conservativ': unknown (did you mean 'conservative'?)"),
        ((None, None, ["slipage_bps=1"]), "--fill slipage_bps: no such setting (did you mean 'slippage_bps'?)"),
        ((None, None, ["seed=1"]), "--fill seed: no such setting"),
    ):
        with pytest.raises(InvalidInput, match=re.escape(said)):
            paper_data(*given)
