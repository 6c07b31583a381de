"""Rules that look at what an instrument itself trades at, and where that is known from."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.risk import SECOND, STOCK, at, entry, every_second, situation, spec, ticks
from testkit.risk_service import Around

from services.risk.market.last_ticks import LastTicksSeen
from tradebus.bus.port import Entry
from tradebus.contracts.risk import EntryBlocked
from tradebus.contracts.signals import Side
from tradebus.risk.state import RiskState
from tradebus.risk.step import on_signal
from tradebus.risk.terms import LastTraded
from tradebus.risk.verdicts import Verdict


@dataclass
class Known:
    """The last ticks there are, by instrument."""

    ticks: dict[int, LastTraded] = field(default_factory=dict)

    def of(self, instrument: int) -> LastTraded | None:
        return self.ticks.get(instrument)


def ask(tick: LastTraded | None, *, side: Side = Side.LONG, price: int = 50_000, **limits: Any) -> Verdict:
    known = Known({} if tick is None else {STOCK.instrument_id: tick})
    stop = price - side.sign * 500
    signal = entry(side=side, price_paise=price, stop_paise=stop, ts_ns=at("10:00"))
    return on_signal(RiskState(), signal, replace(situation(**limits), last_ticks=known)).verdicts[-1]


def tick(price: int = 50_000, *, clock: str = "10:00", bid: int = 0, ask_at: int = 0) -> LastTraded:
    return LastTraded(at(clock), price, bid, ask_at)


ANY = ({"max_data_age_seconds": 5}, {"max_price_distance_pct": 1.0}, {"max_slippage_bps": 10.0})


@pytest.mark.parametrize("limits", ANY)
def test_what_never_traded_today_is_not_entered_where_a_rule_asks(limits: dict[str, Any]) -> None:
    (name,) = limits
    yesterday = LastTraded(at("10:00") - 86_400 * SECOND, 50_000, 0, 0)
    for known in (None, yesterday):
        refused = ask(known, **limits)
        assert refused.rule == name
        assert refused.detail.startswith("no ")
    assert ask(tick(), **limits).approval
    assert ask(None).approval


def test_data_of_the_instrument_itself_must_be_fresh() -> None:
    assert ask(tick(clock="09:59:55"), max_data_age_seconds=5).approval
    refused = ask(tick(clock="09:59:54"), max_data_age_seconds=5)
    assert (refused.rule, refused.detail) == (
        "max_data_age_seconds", "the last tick of SBIN is 6 s old, of 09:59:54; limit 5 s",
    )  # fmt: skip


@pytest.mark.parametrize(("price", "passes"), [(49_500, True), (49_495, False), (50_500, True), (50_505, False)])
def test_an_entry_lies_in_a_band_around_the_last_price(price: int, passes: bool) -> None:
    verdict = ask(tick(), price=price, max_price_distance_pct=1.0)
    assert (verdict.approval is not None) is passes
    if not passes:
        assert verdict.rule == "max_price_distance_pct"
        assert verdict.detail.endswith("is not within ₹495.00 to ₹505.00, 1 % of the last price")


@pytest.mark.parametrize(
    ("side", "known", "passes"),
    [
        (Side.LONG, tick(ask_at=50_050), True),  # ten basis points
        (Side.LONG, tick(ask_at=50_055), False),
        (Side.LONG, tick(50_055), False),  # no book: the last price
        (Side.LONG, tick(50_055, ask_at=50_000), True),
        (Side.LONG, tick(40_000), True),  # cheaper than asked for
        (Side.SHORT, tick(bid=49_950), True),
        (Side.SHORT, tick(bid=49_945), False),
        (Side.SHORT, tick(60_000), True),
    ],
)
def test_what_is_to_be_paid_beyond_the_price_is_bounded(side: Side, known: LastTraded, passes: bool) -> None:
    verdict = ask(known, side=side, max_slippage_bps=10.0)
    assert (verdict.approval is not None) is passes
    assert passes or verdict.rule == "max_slippage_bps"


BATCHES = st.lists(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 600), st.integers(1, 10**6)), max_size=20), max_size=6
)


@given(BATCHES)
def test_the_last_tick_is_the_newest_and_of_equals_the_one_that_came_last(batches: list[list[Any]]) -> None:
    seen, known = LastTicksSeen(), dict[int, tuple[int, int]]()
    for number, batch in enumerate(batches):
        seen.take(ticks(*batch))
        if number % 3 == 1:
            seen.of(0)  # whoever asks between changes nothing
        for ts_ns, instrument, price in batch:
            if ts_ns >= known.get(instrument, (0, 0))[0]:
                known[instrument] = (ts_ns, price)
    for instrument in range(-1, 700):
        found = seen.of(instrument)
        assert (None if found is None else (found.ts_ns, found.price_paise)) == known.get(instrument)


def test_more_ticks_than_wait_for_a_question_are_all_counted() -> None:
    seen = LastTicksSeen()
    for second in range(50):
        seen.take(every_second(at("10:00") + second * SECOND, STOCK, [50_000 + second] * 200))
    found = seen.of(STOCK.instrument_id)
    assert found is not None
    assert (found.ts_ns, found.price_paise) == (at("10:00") + 248 * SECOND, 50_049)


def test_slices_that_cannot_be_read_are_passed_over() -> None:
    seen = LastTicksSeen()
    whole = every_second(at("10:00"), STOCK, [50_000])
    seen.find_again(
        [Entry("s", "1-0", "ticks", whole.tobytes(), watermark_ns=5), Entry("s", "2-0", "ticks", b"x", watermark_ns=6)]
    )
    found = seen.of(STOCK.instrument_id)
    assert found is not None
    assert found.price_paise == 50_000


async def test_a_service_knows_the_last_prices_from_the_stream_and_after_a_restart(around: Around) -> None:
    life = await around.life()
    await around.session(spec(max_price_distance_pct=1.0, max_concurrent_trades=9))
    start = at("09:59")
    await around.slice(every_second(start, STOCK, [49_000, 50_000]), start_ns=start, end_ns=at("10:00"))

    async def answered(number: int) -> bool:
        return len(await around.intents()) + len(await around.refusals()) >= number

    async def judged(pos_id: str, strategy: str, price: int, number: int) -> None:
        await around.publish(entry(pos_id, strategy=strategy, price_paise=price, stop_paise=price - 500))
        await around.until(lambda: answered(number))

    await judged("p1", "orb", 50_400, 1)
    await judged("p2", "ema", 49_000, 2)
    await life.crash()
    await around.life()
    await judged("p3", "micro", 49_000, 3)
    await judged("p4", "micro", 50_400, 4)
    refused = await around.refusals()
    assert [(one.pos_id, one.rule) for one in refused if isinstance(one, EntryBlocked)] == [
        ("p2", "max_price_distance_pct"), ("p3", "max_price_distance_pct"),
    ]  # fmt: skip
    assert [one.pos_id for one in await around.intents()] == ["p1", "p4"]
