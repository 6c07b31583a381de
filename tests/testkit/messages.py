"""A plausible message of every type, and the golden files made from them.

    python -m testkit.messages        (with tests/ on the path) writes the golden of each message that has none

A golden is never written twice: it is what the world was told, and a message that no longer equals it is a new version.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tradebus.contracts.base import Message
from tradebus.contracts.registry import MESSAGES, parse

GOLDEN = Path(__file__).parents[1] / "contract" / "messages" / "golden"

_LIMITS: dict[str, Any] = {
    "daily_max_loss_paise": 5_000_000, "daily_max_loss_pct": None, "consecutive_losses_limit": 4,
    "max_concurrent_trades": 3, "max_trades_per_symbol_per_day": 5, "cooldown_seconds": 300,
    "risk_per_trade_pct": 1.0, "max_exposure_pct": 0.8, "max_leverage": 2.0, "max_slippage_pct": 0.5,
    "order_timeout_seconds": 30, "max_lots_per_trade": None, "safe_trading_start": "09:20",
    "safe_trading_end": "15:00", "hard_trading_end": "15:15",
}  # fmt: skip
_SPEC: dict[str, Any] = {
    "session_id": "018cc251-f400-7000-8000-00000000005e", "user_id": "123", "mode": "paper", "broker": "paper",
    "data_broker": None, "credential": None, "symbols": ["BANKNIFTY", "NIFTY"],
    "strategies": [{"name": "orb", "parameters": {"range_minutes": 15, "targets": [1.5, None]}, "path": None}],
    "capital_paise": 100_000_000, "limits": _LIMITS,
    "paper": {"seed": 1, "latency_ms": 150, "slippage_bps": 1.0, "partial_fill_probability": 0.2},
}  # fmt: skip

# One value for each field that any message has.
EXAMPLES: dict[str, Any] = {
    "event_id": "018cc251-f400-7abc-8def-000000000001", "ts_event_ns": 1_704_081_300_000_000_000,
    "ts_recorded_ns": 1_704_081_300_000_250_000, "source": "execution-1",
    "trace_id": "018cc251-f400-7abc-8def-000000000002", "causation_id": "018cc251-f400-7abc-8def-000000000003",
    "user_id": "123", "session_id": "018cc251-f400-7000-8000-00000000005e",
    "pos_id": "018cc251-f400-7abc-8def-000000000004", "database_id": 42, "spec": _SPEC, "reason": "target_hit",
    "trades": 3, "net_pnl_paise": 1_234_550, "action": "START_TRADING",
    "errors": [{"field": "data.capital", "problem": "must be above 0"}], "strategy": "orb", "symbol": "BANKNIFTY",
    "instrument": 2, "side": "LONG", "price_paise": 4_812_355, "confidence": 0.75, "stop_paise": 4_800_000,
    "target_paise": 4_837_065, "signal_id": "018cc251-f400-7abc-8def-000000000005", "rule": "all_passed",
    "intent_id": "018cc251-f400-7abc-8def-000000000006", "quantity": 30, "lot_size": 15, "tick_size_paise": 5,
    "valid_until_ns": 1_704_081_360_000_000_000, "max_slippage_pct": 0.5, "order_timeout_seconds": 30,
    "quantity_requested": 60, "detail": "4 losses in a row, the limit is 4",
    "order_id": "018cc251-f400-7abc-8def-000000000007", "broker_order_id": "240101000000001",
    "tag": "tb0123456789abcdefgh", "role": "ENTRY", "transaction": "BUY", "order_type": "SL-M",
    "trigger_paise": 4_800_000, "fill_id": "018cc251-f400-7abc-8def-000000000008", "fill_quantity": 15,
    "fill_price_paise": 4_812_400, "filled_quantity": 30, "average_price_paise": 4_812_380, "timeout_seconds": 30,
    "expected_price_paise": 4_812_355, "slippage_pct": 0.61, "previous_trigger_paise": 4_795_000,
    "previous_quantity": 15, "entry_price_paise": 4_812_380, "exit_price_paise": 4_837_065,
    "gross_pnl_paise": 740_550, "charges_paise": 12_345, "r_multiple": 1.99, "mae_r": None, "mfe_r": 2.05,
    "broker": "kite", "instruments": [2], "symbols": ["BANKNIFTY"], "gap_id": "018cc251-f400-7abc-8def-000000000009",
    "exchange": "NFO", "market_class": "derivative", "from_ns": 1_704_081_120_000_000_000,
    "to_ns": 1_704_081_240_000_000_000, "candles": 2, "candles_corrected": 1,
    "stream": "intents.v1.{0}", "entry_id": "1704081300000-0", "kind": "ENTRY_APPROVED", "service": "execution",
    "opened_ts_ns": 1_704_081_300_150_000_000, "orders_checked": 12,
    "hard_end_ns": 1_704_101_400_000_000_000, "seconds": 6,
    "would_send": {
        "broker": "dhan", "method": "POST", "url": "https://api.dhan.co/v2/orders", "body": '{"quantity": 65}',
        "problem": "",
    },
    "group_id": "018cc251-f400-7abc-8def-00000000000a",
    "approval_id": "018cc251-f400-7abc-8def-00000000000b", "decided_by": "asha",
    "expires_ns": 1_704_081_360_000_000_000, "lots": 2, "group": {"instrument": 0, "price_paise": 2_170_000, "legs": [
        {"instrument": 2, "symbol": "NIFTY2410421700CE", "side": "LONG", "ratio": 1, "price_paise": 15_000,
         "stop_paise": 12_000, "target_paise": None},
    ]},
    "limits": _LIMITS, "strategies": [{"strategy": "orb", "limits": {"daily_max_loss_paise": 800_000}}],
    "changed_by": "asha", "scope": "account kite", "changes": [
        {"strategy": None, "field": "daily_max_loss", "before": "none", "after": "₹50,000.00", "widens": False},
    ],
    "differences": [{"what": "order tb01", "ours": "OPEN 30", "brokers": "COMPLETE 30", "action": "adopted the fill"}],
}  # fmt: skip


def sample(model: type[Message], **changed: Any) -> Message:
    """A message of a type, every field set that its first version had. Raises KeyError for a field that has no example
    above: add one."""
    fields = {name: EXAMPLES[name] for name in model.model_fields if name not in model.ADDED} | changed
    return parse(json.dumps({"type": model.TYPE, "schema_version": model.VERSION, **fields}).encode())


def golden_path(model: type[Message], folder: Path = GOLDEN) -> Path:
    """Where the golden of a message lies."""
    return folder / f"{model.TYPE}.v{model.VERSION}.json"


def of_a_leg(model: type[Message]) -> Message:
    """As `sample`, with the fields that came later."""
    return sample(model, **{name: EXAMPLES[name] for name in model.ADDED})


def write_missing(folder: Path = GOLDEN) -> list[Path]:
    """Writes the golden of every message that has none, and returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [model for model in MESSAGES.values() if not golden_path(model, folder).exists()]
    for model in missing:
        with golden_path(model, folder).open("xb") as file:
            file.write(sample(model).to_json() + b"\n")
    return [golden_path(model, folder) for model in missing]


if __name__ == "__main__":
    for path in write_missing():
        sys.stdout.write(f"{path}\n")
