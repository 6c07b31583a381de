"""The kill switch: one row, one file, one command to every service.

    KILL command ─┬─► KILL on commands.v1, at once, past everything that waits
                  └─► kill_switch row ─┐
    .killswitch  ──► kill_switch row ─┼─► KILL on commands.v1 and KILL_SWITCH on sessions.v1, once per engagement
    tradebus kill ─► kill_switch row ─┘   (inbox: the row's changed_ns), whoever gets there first

Once engaged it stays so until a person releases it; the file outlives restarts. A KILL whose row is new has one id both
ways: services that hear it twice handle it once.
"""

from collections.abc import Sequence
from typing import Any

import structlog

from services.gateway.messages import message
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.commands import Kill
from tradebus.contracts.sessions import KillSwitch
from tradebus.contracts.streams import COMMANDS, SESSIONS
from tradebus.kernel.clock import Clock
from tradebus.runtime.patience import PASSING
from tradebus.store.book import Book
from tradebus.store.books import KillSwitchBook
from tradebus.store.outbox import Outbox

_CONSUMER = "gateway.killswitch"
_log = structlog.get_logger()


async def engage(switch: KillSwitchBook, transaction: Any, *, reason: str, now_ns: int) -> bool:
    """Engages the switch and tells every service; True where this call is the one that told them.

    Where it is engaged already, the first reason and time stand; another reason is told of, and kept beside them.
    """
    await switch.engage(transaction, reason=reason, at_ns=now_ns)
    return await announce(switch, transaction)


async def announce(switch: KillSwitchBook, transaction: Any) -> bool:
    """Tells every service about an engaged switch, and everybody about a reason of it, that nobody was told about yet;
    True where it did."""
    stands = await switch.read(transaction)
    if stands is None or not stands.engaged:
        return False
    engagement = str(stands.changed_ns)
    command = kill_command(stands.reason, now_ns=stands.changed_ns)
    first: bool = await transaction.first_time(_CONSUMER, engagement)
    if first:
        transaction.emit(COMMANDS.name, command)
        transaction.emit(SESSIONS.name, _told(stands.reason, command, at_ns=stands.changed_ns, cause=engagement))
    for number, one in enumerate(stands.further):
        cause = f"{engagement} {number}"
        if await transaction.first_time(_CONSUMER, cause):
            transaction.emit(SESSIONS.name, _told(one.reason, command, at_ns=one.at_ns, cause=cause))
    return first


def _told(reason: str, command: Kill, *, at_ns: int, cause: str) -> KillSwitch:
    return message(
        KillSwitch, now_ns=at_ns, cause=cause, trace_id=command.trace_id, causation_id=command.event_id, reason=reason
    )


def kill_command(reason: str, *, now_ns: int) -> Kill:
    """KILL of the engagement that began at this instant."""
    return message(Kill, now_ns=now_ns, cause=str(now_ns), reason=reason)


async def killed_reason(switch: KillSwitchBook, transaction: Any) -> str | None:
    """Why the switch is engaged; None where it is not."""
    stands = await switch.read(transaction)
    return stands.reason if stands is not None and stands.engaged else None


def kill_switch_in(reasons: Sequence[str]) -> dict[str, Any]:
    """How the switch stands by what its file says."""
    return {
        "engaged": bool(reasons), "reason": reasons[0] if reasons else None, "since_utc": None,
        "further": [{"reason": one, "at_utc": None} for one in reasons[1:]],
    }  # fmt: skip


class KillWay:
    """KILL's own way through the gateway: nothing that other commands wait for is waited for before it is out."""

    def __init__(self, *, bus: Bus, book: Book, outbox: Outbox, switch: KillSwitchBook, clock: Clock) -> None:
        self._bus, self._book, self._outbox, self._switch, self._clock = bus, book, outbox, switch, clock

    async def kill(self, reason: str) -> bool:
        """Tells the services at once, then makes it last; True where this is what engaged the switch.

        Raises Unavailable where the book cannot be reached, with the services told where the bus answers.
        """
        now_ns = self._clock.now_ns()
        command = kill_command(reason, now_ns=now_ns)
        try:
            await self._bus.publish([Outgoing(COMMANDS.name, command.TYPE, command.to_json())], urgent=True)
            _log.warning("kill told to the services", reason=reason)
        except PASSING as error:  # the row is looked for by risk and execution, and published with the outbox
            _log.error("kill could not be told directly", problem=str(error))
        async with self._book.begin() as transaction:
            first = await engage(self._switch, transaction, reason=reason, now_ns=now_ns)
        await self._outbox.flush()
        return first
