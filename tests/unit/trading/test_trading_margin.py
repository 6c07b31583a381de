"""The estimate of margin."""

from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import contract

from tradebus.contracts.instrument_key import Right
from tradebus.contracts.signals import Side
from tradebus.trading.size.margin import MarginLeg, legs_margin_paise, margin_paise

SIDES = st.sampled_from(list(Side))
KINDS = st.sampled_from(["EQUITY", "FUTURE", "OPTION"])


def test_by_kind_and_side() -> None:
    nifty = {"underlying": "NIFTY"}
    assert margin_paise(contract("EQUITY"), Side.SHORT, price_paise=1_000) == 200
    assert margin_paise(contract("FUTURE", **nifty), Side.LONG, price_paise=1_000) == 150
    assert margin_paise(contract("FUTURE"), Side.LONG, price_paise=1_001) == 251
    call = contract("OPTION", strike_paise=2_000_000, **nifty)
    assert margin_paise(call, Side.LONG, price_paise=1_000) == 1_000
    assert margin_paise(call, Side.SHORT, price_paise=1_000) == 300_000
    assert margin_paise(call, Side.SHORT, price_paise=1_000, underlying_paise=2_200_000) == 330_000


@given(KINDS, SIDES, st.integers(1, 10**8), st.integers(0, 10**6))
def test_it_is_never_negative_and_does_not_fall_with_the_price(kind: str, side: Side, price: int, more: int) -> None:
    one = contract(kind)
    least = margin_paise(one, side, price_paise=price)
    assert 0 < least <= margin_paise(one, side, price_paise=price + more)


AT_PAISE = 2_400_000
LEGS = st.lists(
    st.builds(
        lambda right, side, strike, quantity, price: option(
            right, side, strike_paise=2_400_000 + 5_000 * strike, quantity=quantity, price_paise=5 * price
        ),
        st.sampled_from(list(Right)), SIDES, st.integers(-60, 60), st.integers(1, 3), st.integers(1, 40_000),
    ),
    min_size=1, max_size=5,
)  # fmt: skip


def option(right: Right, side: Side, *, strike_paise: int, quantity: int, price_paise: int, **terms: Any) -> MarginLeg:
    contract_terms = {"underlying": "NIFTY", "strike_paise": strike_paise, "right": right, **terms}
    return MarginLeg(contract("OPTION", **contract_terms), side, quantity, price_paise)


def together(legs: list[MarginLeg]) -> int:
    units = legs_margin_paise(legs, underlying_paise=AT_PAISE)
    return sum(one.quantity * paise for one, paise in zip(legs, units, strict=True))


def alone(legs: list[MarginLeg]) -> int:
    return sum(
        one.quantity * margin_paise(one.contract, one.side, price_paise=one.price_paise, underlying_paise=AT_PAISE)
        for one in legs
    )


def test_a_spread_needs_its_premium_what_it_can_lose_and_a_share_of_the_underlying_for_what_is_sold() -> None:
    sold = option(Right.CALL, Side.SHORT, strike_paise=2_400_000, quantity=65, price_paise=15_000)
    wing = option(Right.CALL, Side.LONG, strike_paise=2_420_000, quantity=65, price_paise=8_000)
    assert together([wing, sold]) == 65 * (8_000 + 20_000 + AT_PAISE * 4 // 100)
    assert alone([wing, sold]) == 65 * (8_000 + AT_PAISE * 15 // 100)
    # A bought call below the one sold can lose its premium only.
    inside = option(Right.CALL, Side.LONG, strike_paise=2_380_000, quantity=65, price_paise=30_000)
    assert together([inside, sold]) == 65 * (30_000 + AT_PAISE * 4 // 100)


def test_what_has_no_end_or_no_hedge_or_another_expiry_is_counted_leg_by_leg() -> None:
    sold = option(Right.CALL, Side.SHORT, strike_paise=2_400_000, quantity=2, price_paise=15_000)
    put = option(Right.PUT, Side.SHORT, strike_paise=2_400_000, quantity=2, price_paise=15_000)
    half = option(Right.CALL, Side.LONG, strike_paise=2_420_000, quantity=1, price_paise=8_000)
    later = option(
        Right.CALL, Side.LONG, strike_paise=2_420_000, quantity=2, price_paise=8_000, expiry=date(2030, 2, 28)
    )
    future = MarginLeg(contract("FUTURE", underlying="NIFTY"), Side.LONG, 2, AT_PAISE)
    for legs in ([sold], [sold, put], [sold, half], [sold, later], [sold, future]):
        assert together(legs) == alone(legs)


@given(LEGS)
def test_legs_together_need_no_more_than_each_alone_and_no_less_than_they_can_lose(legs: list[MarginLeg]) -> None:
    paid = sum(one.side.sign * one.quantity * one.price_paise for one in legs)

    def due(at_paise: int) -> int:
        calls = {True: 1, False: -1}
        return sum(
            one.side.sign * one.quantity
            * max(0, calls[one.contract.right is Right.CALL] * (at_paise - (one.contract.strike_paise or 0)))
            for one in legs
        )  # fmt: skip

    lost = max(paid - due(at_paise) for at_paise in range(0, 2 * AT_PAISE, 5_000))
    assert min(lost, alone(legs)) <= together(legs) <= alone(legs)
