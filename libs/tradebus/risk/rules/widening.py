"""Whether a limit that is changed lets more be lost or bound than before, and which may change at all while running.

Most limits are ceilings: more is wider, and none at all the widest. Pauses are floors: less is wider. The times of day
of a session stand in place of the market's own, so leaving or taking up the market's counts as wider.
"""

from tradebus.contracts.sessions import RiskLimits, ScopeLimits

_FLOORS = frozenset({"cooldown_seconds", "order_min_interval_ms"})
_FIRST = "safe_trading_start"
_TIMES = frozenset({_FIRST, "safe_trading_end", "hard_trading_end"})
# Execution holds to a session's and a strategy's by START, also with risk dead. What several sessions share is risk's.
FIXED = frozenset({"hard_trading_end"})


def changed_fields(before: RiskLimits | ScopeLimits, after: RiskLimits | ScopeLimits) -> list[str]:
    """The names of the limits that differ."""
    return [name for name in type(after).model_fields if getattr(before, name) != getattr(after, name)]


def widens(name: str, before: object, after: object, *, in_scope: bool = False) -> bool:
    """For a limit that differs. `in_scope`: it holds beside the session's and can only narrow it."""
    if before is None or after is None:
        return after is None or (name in _TIMES and not in_scope)
    if name == _FIRST:
        return str(after) < str(before)
    if name in _TIMES:
        return str(after) > str(before)
    assert isinstance(before, int | float)
    assert isinstance(after, int | float)
    return after < before if name in _FLOORS else after > before
