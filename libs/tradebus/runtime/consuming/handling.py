"""What a service says to the one loop over the bus (`tradebus.runtime.consumer`).

A handler answers an entry with one of three things: done, put it aside, try again later. Whatever else it raises counts
against that one entry: it is tried again from the state in the book, a few times, and then put aside, loudly.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pydantic import ValidationError

from tradebus.bus.port import Bus, Entry, Outgoing, Subscription
from tradebus.kernel.errors import TradebusError

_REASON_MAX = 400


class Effect(StrEnum):
    """Where the effect of what was handled is. Entries are acknowledged only when theirs is stored."""

    STORED = "stored"  # everything handled so far is stored, or had none
    HELD = "held"  # something handled so far is in memory only: acknowledged after a `commit`, or a later STORED
    COMMIT = "commit"  # as HELD, and it must be committed now, between `first` and `then`
    ALONE = "alone"  # this entry's is stored; whatever else waits goes on waiting


@dataclass(frozen=True, slots=True)
class Done:
    """Handled. `first` is published before a COMMIT, `then` after it; both after what the handler's transactions
    emitted. Without a COMMIT everything leaves in one round trip, together with the acknowledgement.

    `is_open`: something of it is still to come, as long as this says so. What comes the handler stores itself before it
    stops saying so; the entry is acknowledged after that, and nobody waits for it."""

    first: Sequence[Outgoing] = ()
    then: Sequence[Outgoing] = ()
    effect: Effect = Effect.STORED
    is_open: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True)
class PutAside:
    """Nobody will ever be able to handle it: to the dead letters with the reason, which people see."""

    reason: str


@dataclass(frozen=True, slots=True)
class TryLater:
    """Something that it needs is away: the same entry again after a while, however often."""

    reason: str


Answer = Done | PutAside | TryLater
DONE = Done()


class Handler(Protocol):
    """What a service does with entries. Called by one task, one call at a time."""

    async def handle(self, entry: Entry) -> Answer: ...

    async def recover(self) -> None:
        """Back to what the book says: at the start, and after an entry that failed, before the next one. What it raises
        beyond a server's absence ends the process: there is no state to go on from."""

    async def commit(self) -> bool:
        """Stores what is HELD; False where it must be held on to. Called when there is nothing to do, when enough has
        been held for long enough (`Policy`), and before the loop ends."""


class Publisher(Protocol):
    """The way out: `tradebus.store.outbox.Outbox`, or `BusPublisher` for a service that keeps no book."""

    @property
    def has_any(self) -> bool:
        """Whether something committed waits to be published."""

    async def flush(
        self, *, then: Sequence[Outgoing] = (), ack: tuple[Subscription, Sequence[Entry]] | None = None
    ) -> None: ...

    async def sweep(self) -> int:
        """Publishes what an earlier life, or an attempt that failed, committed and did not publish."""

    async def check_servers(self) -> None:
        """Returns where everything that handlers need answers. Raises what is wrong otherwise."""


class BusPublisher:
    """Publishes on the bus what is handed to it, and nothing else."""

    has_any = False

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def flush(
        self, *, then: Sequence[Outgoing] = (), ack: tuple[Subscription, Sequence[Entry]] | None = None
    ) -> None:
        if ack is not None:
            await ack[0].publish_and_ack(then, ack[1])
        elif then:
            await self._bus.publish(then)

    async def sweep(self) -> int:
        return 0

    async def check_servers(self) -> None:
        await self._bus.tail("no.such.stream", count=1)


@dataclass(frozen=True, slots=True)
class Policy:
    """How failures and batches are dealt with; the same for all services unless one says why not.

    `attempts_max`: how often a handler may fail on one entry. `lives_max`: how many processes may end with one entry in
    hand. `server_attempts_max`: after so many attempts that failed as if a server were away, while all servers answer,
    it is the entry's fault. `claim_idle_seconds`: take over what another consumer of the group has held that long
    (None: the group has no other). `commit_entries`, `commit_seconds`: how much may be HELD. `stores_beside`: handles
    further entries while a COMMIT is under way; for a handler whose `commit` may be called while it handles, and whose
    `first` may leave long before it is stored. What is owed waits for the store all the same. `acknowledge_seconds`:
    entries that led to nothing are acknowledged together, so often at the most; a paced run waits for none of it.
    """

    attempts_max: int = 3
    lives_max: int = 3
    server_attempts_max: int = 8
    first_delay_seconds: float = 0.05
    last_delay_seconds: float = 2.0
    claim_idle_seconds: float | None = None
    commit_entries: int = 1_000
    commit_seconds: float = 1.0
    stores_beside: bool = False
    acknowledge_seconds: float = 0.02


Owed = Callable[[Entry], Sequence[Outgoing]]
Bury = Callable[[Subscription, Entry, str], Awaitable[None]]


async def bury(subscription: Subscription, entry: Entry, reason: str) -> None:
    """To the dead letters of its stream."""
    await subscription.dead_letter(entry, reason=reason)


def reason_of(error: BaseException) -> str:
    """What is wrong, for a person. Of a message that does not validate the fields, never their values."""
    if isinstance(error, ValidationError):
        details = error.errors(include_url=False, include_input=False, include_context=False)
        text = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in details)
        return f"{error.title}: {text}"[:_REASON_MAX]
    if isinstance(error, TradebusError):
        return str(error)[:_REASON_MAX]
    return f"{type(error).__name__}: {error}"[:_REASON_MAX]
