"""Whose limits there are, and which limit means something where.

    session    START's limits: those of one user, who has one session at a time
    strategy   of a session
    user …     over every session of a user, this day's others included
    account …  over every session that trades there
    all        over every session

Every limit of a session can be every other's, but for those that `why_not_held` names with the reason.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import pairwise

from tradebus.contracts.sessions import RiskLimits, ScopeLimits


class LimitHolder(StrEnum):
    SESSION = "session"
    STRATEGY = "strategy"
    USER = "user"
    ACCOUNT = "account"
    ALL = "all"


SHARED = (LimitHolder.USER, LimitHolder.ACCOUNT, LimitHolder.ALL)
_NO_LIMIT = "is how long an entry waits for its fill, which loses nothing: it is a session's"
_NO_ORDER = "is a session's or a strategy's: losses in a row of several sessions have no order"
_ONE_TRADE = (
    "is a session's or a strategy's: it sizes one trade by one capital; daily_max_loss_r and max_exposure bound several"
)
_REFUSED: Mapping[str, Mapping[LimitHolder, str]] = {
    "order_timeout_seconds": dict.fromkeys((LimitHolder.STRATEGY, *SHARED), _NO_LIMIT),
    "consecutive_losses_limit": dict.fromkeys(SHARED, _NO_ORDER),
    "risk_per_trade_pct": dict.fromkeys(SHARED, _ONE_TRADE),
}


def why_not_held(name: str, holder: LimitHolder) -> str | None:
    """Why a limit, named as in the contract, means nothing there; None where it holds."""
    return _REFUSED.get(name, {}).get(holder)


def limits_held_by(holder: LimitHolder) -> tuple[str, ...]:
    """The limits that can be set there, as in the contract."""
    if holder is LimitHolder.SESSION:
        return tuple(RiskLimits.model_fields)
    return tuple(name for name in ScopeLimits.model_fields if why_not_held(name, holder) is None)


def asks_for_means(limits: ScopeLimits) -> bool:
    """Whether one of them is measured by a capital."""
    return any(
        value is not None
        for value in (
            limits.daily_max_loss_pct, limits.daily_max_loss_r, limits.max_exposure_pct, limits.max_leverage
        )
    )  # fmt: skip


def contradicting_times(limits: RiskLimits | ScopeLimits) -> Iterator[tuple[str, str]]:
    """Times of day that would silently block every entry: by the later one's name, what is wrong with it."""
    order = ("safe_trading_start", "safe_trading_end", "hard_trading_end")
    given = [(name, at) for name in order if (at := getattr(limits, name)) is not None]
    for (earlier_name, earlier), (later_name, later) in pairwise(given):
        if later < earlier or (later == earlier and later_name == "safe_trading_end"):
            yield later_name, f"{later} is not after {earlier_name} {earlier}"
