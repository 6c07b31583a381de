"""The decision journal: in memory and in Postgres."""

from dataclasses import replace

import numpy as np
import pytest

from services.strategy.adapters.journal import Journal
from services.strategy.adapters.memory_journal import MemoryJournal
from services.strategy.messages import SignalMessage, signal_message
from services.strategy.ports import DecisionJournal
from tradebus.contracts.signals import Side
from tradebus.kernel.rng import seed_for
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.strategies.lane.decisions import DecisionRow
from tradebus.trading.facts import EntrySignal


@pytest.fixture(params=["memory", "postgres"])
def journal(request: pytest.FixtureRequest) -> DecisionJournal:
    if request.param == "memory":
        return MemoryJournal(MemoryBook(MemoryDatabase(), producer="strategy-1"))
    return Journal(request.getfixturevalue("store"))


def drawn_rows(seed: int, count: int) -> list[DecisionRow]:
    """Rows of three sessions, some of one instant twice, with reasons that people and machines may write."""
    generator = np.random.default_rng(seed_for(seed, "decision-rows"))
    reasons = ["no_setup", "rsi_neutral: RSI 48.3", 'quoted " and \\ and {curly}', "₹ 1,00,000 – über", "NULL", ""]
    return [
        DecisionRow(
            session_id=f"s{generator.integers(3)}",
            strategy=("orb", "ema_20_50", "mine")[generator.integers(3)],
            instrument=int(generator.integers(4)),
            ts_event_ns=1_704_167_220_000_000_000 + int(generator.integers(40)),
            action=("HOLD", "ENTER_LONG", "EXIT")[generator.integers(3)],
            reason=reasons[generator.integers(len(reasons))],
            price_paise=int(generator.integers(2**50)),
        )
        for _ in range(count)
    ]


def signal(row: DecisionRow) -> SignalMessage:
    fact = EntrySignal(
        event_id=f"e-{row.session_id}-{row.ts_event_ns}", ts_event_ns=row.ts_event_ns, trace_id="t",
        session_id=row.session_id, user_id="u", strategy=row.strategy, symbol="X", instrument=row.instrument,
        side=Side.LONG, price_paise=100, reason="why", stop_paise=90, target_paise=None, confidence=0.5,
    )  # fmt: skip
    return signal_message(fact, recorded_ns=1)


@pytest.mark.parametrize("seed", range(3))
async def test_what_was_written_first_is_what_is_read_by_session_in_order(journal: DecisionJournal, seed: int) -> None:
    rows = drawn_rows(seed, 200)
    for start in range(0, 200, 50):
        await journal.write(rows[start : start + 50])
    await journal.write(rows[40:120])
    first: dict[tuple[str, str, int, int], DecisionRow] = {}
    for row in rows:
        first.setdefault((row.session_id, row.strategy, row.instrument, row.ts_event_ns), row)
    for session_id in ("s0", "s1", "s2", "nobody"):
        own = [row for row in first.values() if row.session_id == session_id]
        wanted = sorted(own, key=lambda row: (row.ts_event_ns, row.strategy, row.instrument))
        assert await journal.decisions(session_id) == wanted


async def test_decisions_and_their_signals_are_written_once(journal: DecisionJournal) -> None:
    row = drawn_rows(9, 1)[0]
    other = replace(row, ts_event_ns=row.ts_event_ns + 1, reason="decided otherwise the second time")
    await journal.write_with_signals([row], [signal(row), signal(row)])
    await journal.write_with_signals([replace(row, reason="again"), other], [signal(row), signal(other)])
    assert await journal.decisions(row.session_id) == [row, other]
    assert await journal.signal_ids(row.session_id) == [signal(row).event_id, signal(other).event_id]
    await journal.write([])
    await journal.write_with_signals([], [signal(row)])
    assert await journal.decisions(row.session_id) == [row, other]
