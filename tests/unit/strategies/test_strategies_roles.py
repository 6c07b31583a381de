"""Options by their place, and what the feed must bring: found, or refused with the nearest that can."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.kernel.errors import InvalidInput
from tradebus.strategies.needs import Call, Needs, Put, Role, Symbol
from tradebus.strategies.roles import HISTORY, Offered, at_the_money, find_role, resolve, spots_of

DAY, NEAR, FAR = date(2024, 1, 2), date(2024, 1, 4), date(2024, 1, 11)
STRIKES = (2_140_000, 2_145_000, 2_150_000, 2_155_000, 2_165_000)


def instrument(number: int, symbol: str, kind: Any, **terms: Any) -> Instrument:
    return Instrument(
        instrument_id=number, symbol=symbol, kind=kind, market_class="index", underlying="NIFTY", tick_size_paise=5,
        **terms,
    )  # fmt: skip


def options(expiry: date, first: int, strikes: tuple[int, ...] = STRIKES) -> list[Instrument]:
    return [
        instrument(
            first + number, f"NIFTY{expiry:%d%b}{strike // 100}{right}", "OPTION", expiry=expiry, strike_paise=strike,
            right=right,
        )
        for number, (strike, right) in enumerate((strike, right) for strike in strikes for right in ("CE", "PE"))
    ]  # fmt: skip


NIFTY = instrument(0, "NIFTY", "INDEX")
FUTURE = instrument(1, "NIFTY24JANFUT", "FUTURE", expiry=date(2024, 1, 25))
MASTER = InstrumentMaster([NIFTY, FUTURE, *options(FAR, 40), *options(NEAR, 10)])


def found(
    role: Role, close_paise: int | None = 2_151_000, *, master: InstrumentMaster = MASTER, day: date = DAY
) -> str:
    offered = Offered(closes_paise={} if close_paise is None else {0: close_paise, 1: close_paise})
    return find_role(role, NIFTY, instruments=master, day=day, what="strategy 's'", offered=offered).symbol


def test_options_are_counted_from_the_money_in_the_nearest_expiry() -> None:
    assert found(Call()) == "NIFTY04Jan21500CE"
    assert found(Call(1)) == "NIFTY04Jan21550CE"
    assert found(Put(-2)) == "NIFTY04Jan21400PE"
    assert found(Put(), 2_153_000) == "NIFTY04Jan21550PE"
    assert found(Call(), day=date(2024, 1, 5)) == "NIFTY11Jan21500CE"


def test_where_only_contracts_are_followed_the_nearest_future_says_where_the_money_is() -> None:
    master = InstrumentMaster([FUTURE, *options(NEAR, 10)])
    assert spots_of(Needs((Call(),)), FUTURE, master, DAY) == [FUTURE]
    offered = Offered(closes_paise={1: 2_149_000})
    assert find_role(Call(), FUTURE, instruments=master, day=DAY, what="s", offered=offered).strike_paise == 2_150_000


@pytest.mark.parametrize(
    ("role", "close_paise", "day", "said"),
    [
        (Call(2), 2_151_000, DAY, r"needs call\+2 of NIFTY that expires on 2024-01-04: at 21510.00 that is strike "
         r"21600, which is not among the 5 known from 21400 to 21650; the nearest is NIFTY04Jan21550CE"),
        (Call(), 2_300_000, DAY, r"strike 23000, which is not among .* nearest is NIFTY04Jan21650CE"),
        (Put(), 2_151_000, date(2024, 2, 1), r"no PE of it expires on 2024-02-01 or later; the last that is known "
         r"expired on 2024-01-11"),
        (Put(), None, DAY, r"by the last close of NIFTY before the day, and this history has none; name the contract "
         r"with Symbol\('NIFTY04Jan21400PE'\)"),
    ],
)  # fmt: skip
def test_an_option_that_is_not_there_is_refused_with_the_nearest(
    role: Role, close_paise: int | None, day: date, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        found(role, close_paise, day=day)


@given(st.integers(1, 10_000_000), st.integers(1, 50), st.sampled_from((2_500, 5_000, 10_000)))
def test_no_strike_is_nearer_than_the_one_at_the_money(price: int, number: int, interval: int) -> None:
    strike = at_the_money(price, number * interval, interval)
    assert (strike - number * interval) % interval == 0
    assert 2 * abs(strike - price) <= interval


@pytest.mark.parametrize(
    ("needs", "offered", "said"),
    [
        (Needs(quotes=True), HISTORY, "this history has no depth: feed kite, dhan or upstox in full mode has"),
        (Needs(quotes=True), Offered("feed kite", frozenset({"NIFTY24FEBFUT"})),
         r"which feed kite does not follow in full.*TRADEBUS_FULL_SYMBOLS"),
        (Needs(chain=True), HISTORY, "this history has no such option chain: feed kite, dhan or upstox has"),
        (Needs(chain=True), Offered("feed kite", None, frozenset({"BANKNIFTY"})), "it reads those of BANKNIFTY"),
    ],
)  # fmt: skip
def test_what_the_feed_does_not_bring_is_refused_with_who_does(needs: Needs, offered: Offered, said: str) -> None:
    def ask(offered: Offered) -> object:
        return resolve(
            needs, NIFTY, own_timeframe_seconds=60, instruments=MASTER, day=DAY, what="strategy 's'", offered=offered
        )

    with pytest.raises(InvalidInput, match=said):
        ask(offered)
    assert ask(Offered("feed", None, None)) == {}
    assert ask(Offered("feed", frozenset({"NIFTY"}), frozenset({"NIFTY"}))) == {}


def test_a_symbol_that_is_not_there_is_refused_with_the_nearest_or_what_there_is() -> None:
    with pytest.raises(InvalidInput, match=r"'NIFTY24JANFU', which is not known \(did you mean 'NIFTY24JANFUT'\?\)"):
        found(Symbol("NIFTY24JANFU"))
    with pytest.raises(InvalidInput, match=r"'TCS', which is not known: known are NIFTY \(index\), NIFTY24JANFUT"):
        found(Symbol("TCS"))
