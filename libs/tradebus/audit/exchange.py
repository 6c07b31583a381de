"""One request to a broker and its reply, secrets removed: a row of the audit.

Every field is a text or a whole number that the book gives back as it got it, for the row's hash is over all of them.
"""

from dataclasses import dataclass

from tradebus.kernel.time import ist_datetime


@dataclass(frozen=True, slots=True)
class BrokerExchange:
    """`account` is BROKER:LOGIN, `sent_by` the process; times are IST with their offset, to the microsecond.

    `status` is HTTP's, None where no reply came; then `problem` says what came of it, "" where nobody lived to say.
    `body` and `reply` may be cut: `reply_bytes` and `reply_sha256` are of the whole, as it came."""

    account: str
    exchange_id: str
    sent_by: str
    method: str
    url: str
    body: str
    sent_at: str
    session_id: str = ""
    pos_id: str = ""
    status: int | None = None
    reply: str = ""
    reply_bytes: int = 0
    reply_sha256: str = ""
    problem: str = ""
    answered_at: str = ""


def ist_text(ts_ns: int) -> str:
    """An instant as the audit writes it; two of them sort as the instants do."""
    return ist_datetime(ts_ns).isoformat(timespec="microseconds")
