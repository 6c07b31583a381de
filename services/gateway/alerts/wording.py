"""Which events are alerts, and what a person is told of them: what is so, and what to do.

Invariant (property-tested): every alert has words, one line, no longer than a message may be.
"""

from collections.abc import Sequence

from services.gateway.domain.problems import clip
from tradebus.contracts.base import Message
from tradebus.contracts.orders import Difference, PositionUnprotected, ReconcileMismatch, SquareOffForced
from tradebus.contracts.risk import EntryAwaitsApproval, SessionHalted
from tradebus.contracts.sessions import KillSwitch, SessionFailed
from tradebus.contracts.signals import StrategyFailed
from tradebus.kernel.time import ist_datetime

# As sql/alerts.sql and the index events_alerts have them (a test says so).
ALERTS: tuple[type[Message], ...] = (
    PositionUnprotected, ReconcileMismatch, KillSwitch, SessionFailed, SessionHalted, SquareOffForced, StrategyFailed,
    EntryAwaitsApproval,
)  # fmt: skip
_TITLES = {"login": "LOGIN ENDED", "degraded": "ACCOUNT DEGRADED", "order book": "BROKER NOT REACHED"}


def words_of(message: Message) -> str:
    """One line. Raises ValueError for what is no alert."""
    return f"{clip(_words(message))} [{_at(message.ts_event_ns)}{_whose(message)}]"


def together(messages: Sequence[Message]) -> str:
    """Several as one text, what is said of many sessions alike once."""
    by_words: dict[str, list[Message]] = {}
    for one in messages:
        by_words.setdefault(clip(_words(one)), []).append(one)
    return "\n".join(
        words_of(same[0]) if len(same) == 1 else f"{words} [{_at(same[0].ts_event_ns)}, {_users(same)}]"
        for words, same in by_words.items()
    )


def _words(message: Message) -> str:
    user = message.user_id or "all users"
    match message:
        case PositionUnprotected():
            held = f"{message.side} {message.quantity} {message.symbol}"
            return (
                f"UNPROTECTED: {held} has had no stop for {message.seconds} s: look at the account, or "
                f"`tradebus flatten {user}`"
            )
        case ReconcileMismatch():
            return " · ".join(map(_difference, message.differences)) or "MISMATCH: book and broker disagree"
        case KillSwitch():
            return f"KILL: {message.reason}: everything is being closed, nothing is entered until it is reset"
        case SessionFailed():
            return f"SESSION FAILED: {message.reason}"
        case SessionHalted():
            return f"SESSION HALTED by {message.rule}: {message.detail}: nothing is entered today"
        case SquareOffForced():
            return f"SQUARE-OFF FORCED: {message.quantity} {message.symbol}: risk has not asked for it; look after risk"
        case StrategyFailed():
            return f"STRATEGY FAILED: {message.strategy}: {message.reason}: its session is paused"
        case EntryAwaitsApproval():
            return (
                f"WAITS FOR YOU until {_at(message.expires_ns)}: {message.strategy} {message.side} {message.quantity} "
                f"{message.symbol}: `tradebus approvals approve {message.approval_id}`, or refuse"
            )
        case _:
            raise ValueError(f"{message.TYPE} is no alert")


def _difference(one: Difference) -> str:
    title = _TITLES.get(one.what, f"MISMATCH: {one.what}")
    return f"{title}: ours {one.ours}, the broker's {one.brokers}: {one.action}"


def _whose(message: Message) -> str:
    return "" if message.user_id is None else f", user {clip(message.user_id)}"


def _users(same: Sequence[Message]) -> str:
    users = sorted({one.user_id for one in same if one.user_id is not None})
    shown = ", ".join(users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
    return f"users {shown}" if len(users) > 1 else f"user {shown}"


def _at(ts_ns: int) -> str:
    return ist_datetime(ts_ns).strftime("%d %b %H:%M:%S IST")
