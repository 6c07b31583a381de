"""Approvals and paper behaviour for tests of the execution core."""

from tradebus.contracts.sessions import PaperSettings
from tradebus.contracts.signals import Side
from tradebus.trading.facts import EntryApproved

SECOND = 1_000_000_000
MORNING = 1_704_080_700 * SECOND  # 2024-01-01 09:15 in India


def approval(side: Side) -> EntryApproved:
    stop, target = (9_900, 10_100) if side is Side.LONG else (10_100, 9_900)
    return EntryApproved(
        event_id="e", ts_event_ns=MORNING, trace_id="t", session_id="s", user_id="u",
        pos_id="p", signal_id="g", strategy="orb", symbol="X", instrument=1, side=side, rule="all_passed",
        intent_id="i", quantity=200, lot_size=25, tick_size_paise=5, price_paise=10_000, stop_paise=stop,
        target_paise=target, valid_until_ns=MORNING + 60 * SECOND, max_slippage_pct=0.5, order_timeout_seconds=30,
    )  # fmt: skip


def paper_filling(partial: float) -> PaperSettings:
    return PaperSettings(seed=3, latency_ms=100, slippage_bps=1.0, partial_fill_probability=partial)
