"""Where a login's requests are written, and on whose behalf they leave."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Ending:
    """What came of a request: a whole reply, or none (`status` None or the reply cut short) and `problem`."""

    status: int | None = None
    reply: str = ""
    reply_bytes: int = 0
    reply_sha256: str = ""
    problem: str = ""


class ExchangeLog(Protocol):
    """Of one login; called on any thread, never raises, waits for nobody but the local disk."""

    def sent(self, method: str, url: str, body: str) -> str:
        """Before the request leaves. Secrets are out of all three; returns the id that `ended` takes."""

    def ended(self, exchange_id: str, ending: Ending) -> None: ...


class Unrecorded:
    """For whoever talks to no broker's account: benchmarks against the sandbox, tests of something else."""

    def sent(self, method: str, url: str, body: str) -> str:
        return ""

    def ended(self, exchange_id: str, ending: Ending) -> None:
        return None


UNRECORDED = Unrecorded()


def unrecorded(account: str) -> ExchangeLog:
    """See `Unrecorded`."""
    return UNRECORDED


# The log of a login, by its account: BROKER:LOGIN.
LogOf = Callable[[str], ExchangeLog]


@dataclass(frozen=True, slots=True)
class Behalf:
    """For whom a request is made; "" where it is the account's own."""

    session_id: str = ""
    pos_id: str = ""


_NOBODY = Behalf()
_behalf: ContextVar[Behalf | None] = ContextVar("_behalf", default=None)


@contextmanager
def on_behalf_of(*, session_id: str, pos_id: str = "") -> Iterator[None]:
    """Requests made inside are written as this session's, and this position's."""
    token = _behalf.set(Behalf(session_id, pos_id))
    try:
        yield
    finally:
        _behalf.reset(token)


def behalf() -> Behalf:
    """For whom the request of this task or thread is."""
    return _behalf.get() or _NOBODY
