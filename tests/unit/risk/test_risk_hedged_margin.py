"""What a hedged group ties up of margin: together while all its legs are there, each in full when a hedge has gone."""

from dataclasses import replace
from datetime import date

import pytest
from testkit.risk import at, closed, entry, opened, situation, spec

from tradebus.contracts.instrument_key import Right
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import Sizing, SizingMode
from tradebus.contracts.signals import Group, Leg, Side
from tradebus.risk.rules.headroom import headroom
from tradebus.risk.state import RiskState
from tradebus.risk.step import on_fact, on_signal
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import Verdict
from tradebus.trading.legs import group_id, leg_pos_id

NIFTY_PAISE, LOT = 2_160_000, 50
GROUP = group_id("session-1", "orb", "NIFTY", at("10:00"))
TOGETHER = LOT * (5_000 + 20_000 + NIFTY_PAISE * 4 // 100)
ALONE = LOT * (5_000 + NIFTY_PAISE * 15 // 100)


def call(number: int, strike_paise: int) -> Instrument:
    return Instrument(
        instrument_id=number, symbol=f"NIFTY24JAN{strike_paise // 100}CE", kind="OPTION", market_class="derivative",
        underlying="NIFTY", tick_size_paise=5, lot_size=LOT, expiry=date(2024, 1, 25), strike_paise=strike_paise,
        right=Right.CALL,
    )  # fmt: skip


WING, SOLD = call(7, 2_180_000), call(8, 2_160_000)
LEGS = (
    Leg(7, WING.symbol, Side.LONG, 1, price_paise=5_000, stop_paise=2_500),
    Leg(8, SOLD.symbol, Side.SHORT, 1, price_paise=12_000, stop_paise=24_000),
)


def desk(capital_paise: int) -> Situation:
    sized = Sizing(mode=SizingMode.FIXED_LOTS, lots=1)
    found = situation(spec(capital_paise=capital_paise, sizing=sized, daily_max_loss_pct=None, max_leverage=5.0))
    return replace(found, instruments={7: WING, 8: SOLD})


def judged(now: Situation) -> tuple[RiskState, list[Verdict]]:
    state, verdicts = RiskState(), list[Verdict]()
    for leg, instrument in zip(LEGS, (WING, SOLD), strict=True):
        signal = entry(
            leg_pos_id(GROUP, leg.symbol), instrument=instrument, side=leg.side, price_paise=leg.price_paise,
            stop_paise=leg.stop_paise,
        )  # fmt: skip
        step = on_signal(state, replace(signal, group=Group(0, NIFTY_PAISE, LEGS), group_id=GROUP), now)
        state = step.state
        verdicts += step.verdicts
    return state, verdicts


def held(state: RiskState, now: Situation) -> int:
    (margin,) = [one for one in headroom(state, now.terms, now_ns=at("10:01")) if one.limit == "margin"]
    return margin.used


def test_a_spread_gets_in_with_what_it_needs_together_and_not_with_less() -> None:
    state, verdicts = judged(desk(TOGETHER))
    assert [one.approval is not None for one in verdicts] == [True, True]
    assert held(state, desk(TOGETHER)) == TOGETHER < ALONE
    _, verdicts = judged(desk(TOGETHER - 1))
    assert [one.approval for one in verdicts] == [None, None]
    assert verdicts[0].detail.startswith("margin leaves less than one unit of 2 legs")


@pytest.mark.parametrize("gone", ["closed", "half"])
def test_what_was_sold_counts_in_full_when_its_hedge_has_gone(gone: str) -> None:
    now = desk(ALONE)
    state, _ = judged(now)
    wing = leg_pos_id(GROUP, WING.symbol)
    about = {"instrument": WING, "quantity": LOT, "price_paise": 5_000}
    state = on_fact(state, replace(opened(wing, **about), group_id=GROUP), now).state
    if gone == "closed":
        state = on_fact(state, replace(closed(wing, instrument=WING, quantity=LOT), group_id=GROUP), now).state
        assert held(state, now) == ALONE - LOT * 5_000
        return
    holding = replace(state.holdings[wing], exit_quantity=LOT // 2)
    assert held(state.with_holding(holding), now) == ALONE - LOT // 2 * 5_000
