"""What bought options take off the margin of sold ones, at the exchange and in what it says beforehand."""

from hypothesis import given
from hypothesis import strategies as st
from testkit.exchange_hands import BUY, SELL, last, order_of, place, still

from services.sandbox.domain.accounts.hedges import OptionLeg, hedge_benefit_paise
from services.sandbox.ports import SandboxInstrument, SandboxStatus
from tradebus.contracts.instrument_key import Right

LEGS = st.lists(
    st.builds(
        lambda strike, right, bought, sold: OptionLeg(strike, right, bought, sold, sold * 300_000, 48_000),
        st.integers(200, 260).map(lambda hundreds: 10_000 * hundreds), st.sampled_from(list(Right)),
        st.integers(0, 3), st.integers(0, 3),
    ),
    max_size=5,
)  # fmt: skip


def spread(exchange) -> tuple[SandboxInstrument, SandboxInstrument]:
    """Two calls of one expiry, the one that is sold below its wing."""
    calls = [one for one in exchange.instruments if one.key.name == "NIFTY" and one.key.right is Right.CALL]
    expiry = min(one.key.expiry for one in calls)
    ordered = sorted((one for one in calls if one.key.expiry == expiry), key=lambda one: one.key.strike_paise)
    return ordered[0], ordered[-1]


@given(LEGS)
def test_the_benefit_leaves_what_the_legs_can_lose_and_is_never_below_nothing(legs):
    benefit = hedge_benefit_paise(legs)
    assert 0 <= benefit <= sum(one.sold_paise for one in legs)
    if benefit:
        worst = max(-sum(one.due_paise(at_paise) for one in legs) for at_paise in range(0, 6_000_000, 10_000))
        assert sum(one.sold_paise for one in legs) - benefit >= worst


def test_what_is_said_of_a_spread_beforehand_is_what_it_holds_and_ends_with_the_hedge():
    exchange = still(instruments=900)
    sold, wing = spread(exchange)
    orders = [order_of(wing, BUY, 1, price_paise=last(exchange, wing) * 2),
              order_of(sold, SELL, 1, price_paise=last(exchange, sold) // 2 // 5 * 5)]  # fmt: skip
    needed = exchange.required_margins(orders)
    (premium, naked), benefit = needed.alone_paise, needed.benefit_paise
    assert 0 < benefit < naked
    bought = place(exchange, "S", wing, BUY, 1)
    before = exchange.margins("S").used_paise
    assert before == bought.average_price_paise * wing.lot_size <= premium
    assert place(exchange, "S", sold, SELL, 1).status is SandboxStatus.COMPLETE
    assert exchange.margins("S").used_paise - before == naked - benefit
    exchange.set_cash("S", exchange.margins("S").used_paise + 100_000)
    refused = place(exchange, "S", wing, SELL, 1)
    assert (refused.status, "insufficient funds" in refused.reason) == (SandboxStatus.REJECTED, True)
    exchange.set_cash("S", 10 * naked)
    assert place(exchange, "S", wing, SELL, 1).status is SandboxStatus.COMPLETE
    assert exchange.margins("S").used_paise == naked


def test_a_hedge_that_is_only_ordered_or_of_another_kind_takes_nothing_off():
    exchange = still(instruments=900)
    sold, wing = spread(exchange)
    place(exchange, "W", sold, SELL, 1)
    naked = exchange.margins("W").used_paise
    resting = place(exchange, "W", wing, BUY, 1, price_paise=wing.tick_size_paise)
    assert exchange.margins("W").used_paise == naked + wing.tick_size_paise * wing.lot_size
    exchange.cancel("W", resting.order_id)
    put = next(
        one for one in exchange.instruments
        if (one.key.name, one.key.expiry, one.key.right) == ("NIFTY", sold.key.expiry, Right.PUT)
    )  # fmt: skip
    bought = place(exchange, "W", put, BUY, 1)
    assert exchange.margins("W").used_paise == naked + bought.average_price_paise * put.lot_size
