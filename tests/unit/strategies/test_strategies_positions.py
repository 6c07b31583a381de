"""Positions as of an instant: what a rebuilt strategy sees is what the live one saw."""

from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.signals import Side
from tradebus.strategies.lane.positions import PositionBook, PositionKey
from tradebus.trading.facts import PositionClosed, PositionOpened

KEY = PositionKey("session", "orb", "NIFTY")


def opened(pos_id: str, at_ns: int, *, key: PositionKey = KEY, quantity: int = 10) -> PositionOpened:
    return PositionOpened(
        event_id=f"opened-{pos_id}", ts_event_ns=at_ns, trace_id="t", user_id="u",
        session_id=key.session_id, pos_id=pos_id, strategy=key.strategy, symbol=key.symbol, instrument=1,
        side=Side.LONG, quantity=quantity, average_price_paise=1_000, stop_paise=900,
        target_paise=None,
    )  # fmt: skip


def closed(pos_id: str, at_ns: int, *, opened_ns: int, key: PositionKey = KEY, quantity: int = 10) -> PositionClosed:
    return PositionClosed(
        event_id=f"closed-{pos_id}", ts_event_ns=at_ns, trace_id="t", user_id="u",
        session_id=key.session_id, pos_id=pos_id, strategy=key.strategy, symbol=key.symbol, instrument=1,
        side=Side.LONG, quantity=quantity, entry_price_paise=1_000, exit_price_paise=1_100, gross_pnl_paise=1,
        charges_paise=0, net_pnl_paise=1, r_multiple=1.0, mae_r=0.0, mfe_r=1.0, reason="target", opened_ts_ns=opened_ns,
    )  # fmt: skip


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[str, int, int | None]]:
    """Positions as (id, opened, closed or None)."""
    count = draw(st.integers(0, 6))
    found = []
    for number in range(count):
        start = draw(st.integers(1, 40))
        length = draw(st.none() | st.integers(1, 20))
        found.append((f"p{number}", start, None if length is None else start + length))
    return found


def facts_of(each: list[tuple[str, int, int | None]]) -> list[PositionOpened | PositionClosed]:
    facts: list[PositionOpened | PositionClosed] = []
    for pos_id, start, end in each:
        facts.append(opened(pos_id, start))
        if end is not None:
            facts.append(closed(pos_id, end, opened_ns=start))
    return facts


@given(lives(), st.integers(0, 70), st.data())
def test_the_position_at_an_instant_does_not_depend_on_order_or_repetition(each, ts_ns, data):
    facts = facts_of(each)
    repeated = data.draw(st.lists(st.sampled_from(facts), max_size=5)) if facts else []
    book = PositionBook()
    for fact in data.draw(st.permutations(facts + repeated)):
        book.apply(fact)
    alive = [(start, pos_id) for pos_id, start, end in each if start < ts_ns and (end is None or ts_ns <= end)]
    found = book.at(KEY, ts_ns)
    assert (found.pos_id if found else None) == (min(alive)[1] if alive else None)
    if found:
        assert found.opened_ts_ns == min(alive)[0]


def test_a_candle_sees_what_was_done_before_it_closed_and_nothing_done_as_it_closed():
    book = PositionBook()
    book.apply(opened("p", 100))
    assert book.at(KEY, 100) is None
    assert book.at(KEY, 101) is not None
    book.apply(closed("p", 200, opened_ns=100))
    assert book.at(KEY, 200) is not None
    assert book.at(KEY, 201) is None


def test_the_opening_quantity_stands_whichever_fact_is_heard_first():
    for order in (1, -1):
        book = PositionBook()
        for fact in [opened("p", 100, quantity=5), closed("p", 200, opened_ns=100, quantity=15)][::order]:
            book.apply(fact)
        position = book.at(KEY, 150)
        assert position is not None
        assert position.quantity == 5


def test_strategies_and_sessions_do_not_see_each_others_positions():
    book = PositionBook()
    book.apply(opened("p", 100))
    for other in (KEY._replace(strategy="other"), KEY._replace(symbol="BANKNIFTY"), KEY._replace(session_id="b")):
        assert book.at(other, 150) is None


def test_a_forgotten_session_has_no_positions():
    book = PositionBook()
    book.apply(opened("p", 100))
    book.apply(opened("q", 100, key=KEY._replace(session_id="other")))
    book.forget_session(KEY.session_id)
    assert book.at(KEY, 150) is None
    assert book.at(KEY._replace(session_id="other"), 150) is not None
