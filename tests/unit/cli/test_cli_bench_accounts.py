"""The rows of `tradebus bench accounts`: ratios, and when they are beyond what is allowed."""

from services.cli.bench.accounts.figures import figures
from services.cli.bench.accounts.trading import Latencies

MS = 1_000_000
KILLS = [{"kite:kite": 5 * MS, "dhan:dhan": 9 * MS}, {"kite:kite": 7 * MS, "dhan:dhan": 6 * MS}]


def blocks(*ms: int) -> list[Latencies]:
    """One block of each: a hundred entries of so many ms, and exits of twice as many."""
    return [Latencies([one * MS] * 100, [2 * one * MS] * 100) for one in ms]


def test_a_row_has_both_kinds_their_ratio_and_what_the_machine_makes_of_it() -> None:
    found = figures({False: blocks(10, 12), True: blocks(11, 11)}, {False: [[50], [50]], True: [[55], [55]]}, KILLS)
    assert found["entry_p50_ms"] == {"without": 11.0, "with": 11.0, "ratio": 1.0, "again": 1.2, "count": 200}
    assert found["exit_p99_ms"]["without"] == 24.0
    assert found["start_p50_ms"]["ratio"] == 1.1
    assert found["kill_to_sender_worst_ms"] == {"dhan:dhan": 9.0, "kite:kite": 7.0}
    assert found["verdict"] == "ok"


def test_what_is_beyond_is_named() -> None:
    slow = [*KILLS, {"kite:kite": 101 * MS, "dhan:dhan": 1}]
    found = figures({False: blocks(10, 10), True: blocks(10, 13)}, {False: [[50], [50]], True: [[50], [50]]}, slow)
    assert found["verdict"] == "beyond: entry_p99_ms 1.30, exit_p99_ms 1.30, kill kite:kite 101 ms"
