"""Listing, prices and quotes of the generated market."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.exchange_hands import at, future, still

from services.sandbox.domain.instruments.listing import generate_listing
from services.sandbox.domain.instruments.shape import ListingKind
from services.sandbox.domain.instruments.symbols import symbol_of
from services.sandbox.domain.prices.pricing import RATE, option_greeks, option_prices, smile
from services.sandbox.domain.prices.processes import season
from services.sandbox.exchange import starting_prices
from tradebus.calendar import is_regular_day
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.records import QUOTE_HAS_DEPTH, QUOTE_HAS_OPEN_INTEREST

DAYS = st.dates(date(2026, 1, 5), date(2026, 11, 25))


@settings(max_examples=25)
@given(DAYS, st.integers(300, 4000))
def test_every_name_in_a_listing_is_unique_and_every_contract_can_expire(day, count):
    listing = generate_listing(day, instruments=count, price_paise=starting_prices(1))
    assert [one.index for one in listing] == list(range(len(listing)))
    assert len(listing) == count
    for name in ("key", "kite_token", "upstox_key"):
        assert len({getattr(one, name) for one in listing}) == count
    assert len({(one.key.segment, one.exchange_token) for one in listing}) == count
    assert len({(one.key.segment, one.symbol) for one in listing}) == count
    underlyings = {one.key.name for one in listing if not one.key.is_derivative}
    for one in listing:
        if one.key.expiry is not None:
            assert day <= one.key.expiry <= day + timedelta(days=130)
            assert is_regular_day(one.key.expiry)
            assert one.key.name in underlyings
            assert one.freeze_quantity >= one.lot_size > 0


def test_a_longer_listing_begins_with_the_shorter_one():
    day, prices = date(2026, 11, 25), starting_prices(1)
    short = generate_listing(day, instruments=400, price_paise=prices)
    assert generate_listing(day, instruments=2000, price_paise=prices)[:400] == short


def test_real_looking_names_and_tokens():
    exchange = still()
    nifty, bank = at(exchange, "INDEX:NIFTY"), at(exchange, "INDEX:BANKNIFTY")
    assert (nifty.kite_token, nifty.exchange_token, nifty.upstox_key) == (256265, 13, "NSE_INDEX|Nifty 50")
    assert (bank.kite_token, bank.exchange_token) == (260105, 25)
    assert exchange.find(exchange="NSE", symbol="NIFTY 50") is nifty
    infy = at(exchange, "NSE:INFY")
    assert infy.kite_token == infy.exchange_token * 256 + 1
    assert exchange.by_upstox_key("NSE_EQ|INE009A01021") is infy
    assert exchange.by_exchange_token("NSE", 1594) is infy
    one = future(exchange)
    assert (one.symbol, one.lot_size, one.tick_size_paise) == ("NIFTY26DECFUT", 65, 10)
    assert exchange.by_kite_token(one.exchange_token * 256 + 2) is one


@pytest.mark.parametrize(
    ("key", "symbol"),
    [
        ("NFO:NIFTY:2026-12-29:26000:CE", "NIFTY26DEC26000CE"),
        ("NFO:NIFTY:2026-12-01:24350:CE", "NIFTY26D0124350CE"),
        ("NFO:NIFTY:2026-09-01:24350:CE", "NIFTY2690124350CE"),
        ("NFO:NIFTY:2026-11-23:26000:PE", "NIFTY26NOV26000PE"),  # the monthly one, moved before a holiday
        ("NFO:ITC:2026-12-29:402.50:PE", "ITC26DEC402.5PE"),
        ("BFO:SENSEX:2026-12-31:FUT", "SENSEX26DECFUT"),
    ],
)
def test_symbols_are_written_as_the_exchange_does(key, symbol):
    assert symbol_of(InstrumentKey.parse(key)) == symbol


PRICES = st.floats(1_000, 9_000_000)


@given(PRICES, st.floats(0.7, 1.4), st.floats(0.0005, 1.0), st.floats(0.05, 0.9))
def test_a_call_less_a_put_is_worth_the_forward_less_the_strike(forward, moneyness, years, volatility):
    prices = option_prices(
        np.full(2, forward), np.full(2, forward * moneyness), np.full(2, years), np.full(2, volatility),
        np.array([True, False]),
    )  # fmt: skip
    expected = np.exp(-RATE * years) * (forward - forward * moneyness)
    assert prices[0] - prices[1] == pytest.approx(expected, abs=1e-7 * forward)
    assert prices.min() >= 0
    assert prices[0] >= expected - 1e-6 * forward


@given(PRICES, st.floats(0.001, 0.5), st.floats(0.05, 0.6))
def test_a_call_falls_and_a_put_rises_with_the_strike(forward, years, volatility):
    strikes = forward * np.linspace(0.8, 1.2, 21)
    flat = np.full(21, volatility)
    for is_call, sign in ((True, -1), (False, 1)):
        prices = option_prices(np.full(21, forward), strikes, np.full(21, years), flat, np.full(21, is_call))
        assert (sign * np.diff(prices) >= -1e-6 * forward).all()


def test_greeks_have_their_signs_and_an_expired_option_its_intrinsic_value():
    forward, strike = np.array([26_000.0, 26_000.0]), np.array([26_500.0, 26_500.0])
    call = np.array([True, False])
    delta, gamma, theta, vega = option_greeks(forward, strike, np.full(2, 0.05), np.full(2, 0.14), call)
    assert 0 < delta[0] < 0.5 < -delta[1] < 1
    assert gamma[0] == pytest.approx(gamma[1])
    assert (gamma > 0).all()
    assert (vega > 0).all()
    assert theta[0] < 0
    done = option_prices(forward, strike, np.zeros(2), np.full(2, 0.14), call)
    assert done == pytest.approx([0.0, 500.0], abs=0.01)


def test_the_smile_leans_to_the_downside():
    forward = np.full(3, 26_000.0)
    volatility = smile(forward, np.array([25_000.0, 26_000.0, 27_000.0]), np.full(3, 0.05), np.full(3, 0.13))
    assert volatility[0] > volatility[1]
    assert volatility[0] > volatility[2]


def test_the_day_is_u_shaped():
    assert season(0.0) > season(0.2) > season(0.5) < season(0.8) < season(1.0)


def test_the_same_seed_gives_the_same_market_and_another_seed_another():
    first, second, other = still(), still(), still(seed=4)
    for exchange in (first, second, other):
        exchange.advance(30)
    assert first.quotes.tobytes() == second.quotes.tobytes()
    assert first.quotes.tobytes() != other.quotes.tobytes()


def test_pausing_between_steps_does_not_change_the_market():
    whole, parts = still(), still()
    whole.advance(20)
    for _ in range(20):
        parts.advance(1)
    assert whole.quotes.tobytes() == parts.quotes.tobytes()


@settings(max_examples=12)
@given(st.integers(0, 2**31), st.integers(1, 40))
def test_quotes_are_sound(seed, seconds):
    exchange = still(seed=seed, start="2026-11-25T09:16:00")
    exchange.advance(seconds)
    market, quotes = exchange.floor.market, exchange.quotes
    tick = market.shape.tick.astype(np.int64)
    traded = market.shape.kind != ListingKind.INDEX
    for name in ("price_paise", "open_paise", "high_paise", "low_paise"):
        assert not (quotes[name] % tick).any()
    assert (quotes["low_paise"] <= quotes["price_paise"]).all()
    assert (quotes["price_paise"] <= quotes["high_paise"]).all()
    assert (quotes["low_paise"] <= quotes["open_paise"]).all()
    assert ((quotes["price_paise"] >= market.lower) & (quotes["price_paise"] <= market.upper))[traded].all()
    bid, ask = quotes["bid_paise"][traded], quotes["ask_paise"][traded]
    both = (bid[:, 0] > 0) & (ask[:, 0] > 0)
    assert (bid[both, 0] < ask[both, 0]).all()
    assert (np.diff(bid, axis=1) < 0)[bid[:, 1:] > 0].all()
    assert (np.diff(ask, axis=1) > 0)[ask[:, 1:] > 0].all()
    assert ((quotes["bid_quantity"] > 0) == (quotes["bid_paise"] > 0)).all()
    assert not (quotes["bid_quantity"][traded] % market.shape.lot[traded][:, None]).any()
    assert not quotes["bid_paise"][~traded].any()
    assert not (quotes["fields"][~traded] & QUOTE_HAS_DEPTH).any()
    assert (quotes["fields"][market.shape.expiry_ns > 0] & QUOTE_HAS_OPEN_INTEREST).all()


def test_volume_never_falls_and_event_times_ascend():
    exchange = still()
    for _ in range(20):
        before = exchange.quotes.copy()
        exchange.advance(0.5)
        assert (exchange.quotes["volume_cumulative"] >= before["volume_cumulative"]).all()
        assert (exchange.quotes["ts_event_ns"] >= before["ts_event_ns"]).all()
        assert exchange.quotes["ts_event_ns"].max() <= exchange.now_ns


def test_index_future_and_options_move_together():
    exchange = still()
    nifty, one = at(exchange, "INDEX:NIFTY"), future(exchange)
    calls = [each for each in exchange.instruments if each.key.is_option and each.key.name == "NIFTY"]
    call = next(each for each in calls if each.key.right == "CE")
    before = {each.index: int(exchange.quotes["price_paise"][each.index]) for each in (nifty, one, call)}
    exchange.shock(nifty.index, 0.01)
    after = {index: int(exchange.quotes["price_paise"][index]) for index in before}
    assert after[nifty.index] / before[nifty.index] == pytest.approx(1.01, abs=0.002)
    assert after[one.index] / before[one.index] == pytest.approx(1.01, abs=0.002)
    assert after[call.index] > before[call.index]


def test_a_call_and_a_put_at_one_strike_are_quoted_in_parity():
    exchange = still(instruments=600)
    nifty = at(exchange, "INDEX:NIFTY")
    exchange.shock(nifty.index, 0.0)  # quotes everything on the index at one instant
    market = exchange.floor.market
    pairs = 0
    for one in exchange.instruments:
        key = one.key
        if key.is_option and key.name == "NIFTY" and key.right == "CE":
            put = at(exchange, str(key).replace(":CE", ":PE"))
            mids = [
                (exchange.quotes["bid_paise"][each.index, 0] + exchange.quotes["ask_paise"][each.index, 0]) / 2
                for each in (one, put)
            ]
            fair = market.fair(np.array([one.index, put.index]), exchange.now_ns)
            assert mids[0] - mids[1] == pytest.approx(fair[0] - fair[1], abs=0.02 * float(np.sum(mids)) + 20)
            pairs += 1
    assert pairs > 10


def test_equities_follow_the_market_in_part():
    exchange = still(start="2026-11-25T09:15:00", ticks_per_second=3000.0, step_ms=1000)
    names = ["INDEX:NIFTY", "NSE:HDFCBANK", "NSE:CERA"]
    processes, process = exchange.floor.market.processes, exchange.floor.market.shape.process
    columns = process[[at(exchange, name).index for name in names]]
    path = []
    for _ in range(300):
        exchange.advance(10)
        path.append(processes.value[columns])
    returns = np.diff(np.log(np.array(path)), axis=0)
    correlation = np.corrcoef(returns.T)
    assert correlation[0, 1] > 0.5
    assert correlation[0, 2] < correlation[0, 1]


def test_the_wanted_number_of_ticks_comes_out():
    exchange = still(ticks_per_second=1000.0)
    before = exchange.floor.ticks
    exchange.advance(30)
    assert exchange.floor.ticks - before == pytest.approx(30_000, rel=0.03)


def test_segments_and_classes_fit_each_other():
    for one in still().instruments:
        if one.key.segment in (Segment.NFO, Segment.BFO):
            assert one.market_class == "derivative"
        elif one.key.segment is Segment.INDEX:
            assert one.market_class == "index"
        else:
            assert one.market_class in ("equity", "equity_fno")
