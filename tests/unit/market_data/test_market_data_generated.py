"""The generated market: the same for ever, continuous over nights, inside its sessions."""

from datetime import date

import numpy as np
import pytest

from services.market_data.candles.day import plan_day
from services.market_data.feeds.recorded.generated_feed import GeneratedFeed
from tradebus.calendar import session_for
from tradebus.kernel.errors import InvalidInput

SYMBOLS = ("NIFTY", "RELIANCE", "TCS")
IDS = {"NIFTY": 0, "RELIANCE": 1, "TCS": 2}
OTHER_IDS = {"NIFTY": 9, "RELIANCE": 4, "TCS": 0}
NOVEMBER = date(2026, 11, 19)  # derivatives trade to 15:40, cash stocks to 15:15


def feed(*, seed: int = 1, first: date = NOVEMBER, last: date = NOVEMBER, warmup_minutes: int = 500) -> GeneratedFeed:
    return GeneratedFeed(SYMBOLS, first=first, last=last, ticks_per_minute=5, seed=seed, warmup_minutes=warmup_minutes)


def test_same_seed_gives_the_same_ticks_and_another_seed_others() -> None:
    one, same, other = feed(), feed(), feed(seed=2)
    ticks = one.ticks(one.days[0], IDS)
    assert np.array_equal(ticks, same.ticks(same.days[0], IDS))
    assert not np.array_equal(ticks["price_paise"], other.ticks(other.days[0], IDS)["price_paise"])
    assert one.identity == same.identity != other.identity


def test_prices_do_not_depend_on_the_ids() -> None:
    made = feed()
    one, other = (made.ticks(made.days[0], ids) for ids in (IDS, OTHER_IDS))
    for symbol in SYMBOLS:
        left, right = one[one["instrument"] == IDS[symbol]], other[other["instrument"] == OTHER_IDS[symbol]]
        assert len(left) > 0
        assert np.array_equal(left["price_paise"], right["price_paise"])


def test_each_symbol_trades_in_its_own_session_with_a_bar_for_every_minute() -> None:
    made = feed()
    (day,) = made.days
    sessions = {}
    for item in made.instruments:
        session = session_for(day.day, item.market_class)
        assert session is not None
        sessions[IDS[item.symbol]] = session
    plan = plan_day(made.ticks(day, IDS), sessions=sessions)
    assert len(plan.minutes) == day.bars
    for instrument, session in sessions.items():
        mine = plan.minutes[plan.minutes["instrument"] == instrument]
        assert len(mine) == session.expected_bars(60)
        assert mine["ts_open_ns"][0] == session.open_ns
        assert mine["ts_close_ns"][-1] == session.close_ns


def test_days_and_warmup_join_over_the_nights() -> None:
    made = feed(last=date(2026, 11, 25))
    warmup = made.warmup(IDS)
    before = {number: int(warmup["close_paise"][warmup["instrument"] == number][-1]) for number in IDS.values()}
    assert len(warmup) == 500 * len(SYMBOLS)
    assert warmup["ts_close_ns"].max() < made.days[0].open_ns
    for day in made.days:
        ticks = made.ticks(day, IDS)
        for number in IDS.values():
            prices = ticks["price_paise"][ticks["instrument"] == number]
            assert abs(prices[0] / before[number] - 1) < 0.05
            before[number] = int(prices[-1])


def test_a_later_day_is_the_same_whether_asked_first_or_last() -> None:
    span = {"first": date(2026, 11, 18), "last": date(2026, 11, 25)}
    one, other = feed(**span), feed(**span)
    last = one.days[-1]
    for day in one.days:
        expected = one.ticks(day, IDS)
    assert np.array_equal(other.ticks(last, IDS), expected)


def test_closed_days_are_left_out_and_a_closed_range_refused() -> None:
    made = feed(first=date(2026, 11, 20), last=date(2026, 11, 23))
    assert [day.day for day in made.days] == [date(2026, 11, 20), date(2026, 11, 23)]
    with pytest.raises(InvalidInput, match="the market is closed from 2026-11-21 to 2026-11-22"):
        feed(first=date(2026, 11, 21), last=date(2026, 11, 22))


@pytest.mark.parametrize(
    ("day", "ticks_paise"),
    [
        (date(2024, 1, 10), {"BANKNIFTY": 5, "NIFTY": 5, "RELIANCE": 5}),
        (NOVEMBER, {"BANKNIFTY": 20, "NIFTY": 10, "RELIANCE": 10}),
    ],
)
def test_prices_move_by_the_ticks_of_the_day(day: date, ticks_paise: dict[str, int]) -> None:
    made = GeneratedFeed(tuple(ticks_paise), first=day, last=day, ticks_per_minute=5, seed=1, warmup_minutes=0)
    numbers = {symbol: number for number, symbol in enumerate(ticks_paise)}
    ticks = made.ticks(made.days[0], numbers)
    for symbol, tick in ticks_paise.items():
        prices = ticks["price_paise"][ticks["instrument"] == numbers[symbol]]
        assert int(np.gcd.reduce(prices)) == tick
