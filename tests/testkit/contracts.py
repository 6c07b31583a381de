"""Contracts and instants for tests of orders: one of each kind, and times within a session."""

from datetime import date, time
from typing import Any

from tradebus.calendar import Contract
from tradebus.contracts.instrument_key import Right
from tradebus.kernel.time import ist_to_ns

DAY = date(2024, 1, 10)
OPEN_NS = ist_to_ns(DAY, time(9, 15))


def contract(kind: str = "FUTURE", **terms: Any) -> Contract:
    """An instrument X of lot 1; a future or an option of a far expiry."""
    derivative = kind in ("FUTURE", "OPTION")
    option = {"strike_paise": 10_000, "right": Right.CALL} if kind == "OPTION" else {}
    given: dict[str, Any] = {
        "symbol": "X", "kind": kind, "market_class": "derivative" if derivative else "equity", "underlying": "X",
        "lot_size": 1, "tick_size_paise": 5, "expiry": date(2030, 1, 31) if derivative else None, **option, **terms,
    }  # fmt: skip
    return Contract(**given)
