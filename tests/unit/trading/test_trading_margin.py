"""The estimate of margin."""

from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import contract

from tradebus.contracts.signals import Side
from tradebus.trading.size.margin import margin_paise

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
