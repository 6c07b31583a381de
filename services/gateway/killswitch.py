"""The kill switch: one row, one file, one command to every service.

    KILL command ─┐
    .killswitch  ─┼─► kill_switch row ─► KILL on commands.v1 and KILL_SWITCH on sessions.v1, once per engagement
    tradebus kill ┘                      (inbox: the row's changed_ns), whoever gets there first

Once engaged it stays so until a person releases it; the file outlives restarts.
"""

from pathlib import Path

from services.gateway.adapters.sessions import SQL
from services.gateway.messages import message
from tradebus.contracts.commands import Kill
from tradebus.contracts.sessions import KillSwitch
from tradebus.contracts.streams import COMMANDS, SESSIONS
from tradebus.store.store import Transaction

_CONSUMER = "gateway.killswitch"


async def engage(transaction: Transaction, *, reason: str, now_ns: int) -> bool:
    """Engages the switch and tells every service; True where this call is the one that told them.

    Where it is engaged already, the first reason and time stand.
    """
    await transaction.connection.execute(SQL["engage_kill_switch"], reason, now_ns)
    return await announce(transaction)


async def announce(transaction: Transaction) -> bool:
    """Tells every service about an engaged switch that nobody was told about yet; True where it did."""
    row = await transaction.connection.fetchrow(SQL["kill_switch"])
    if row is None or not row["engaged"]:
        return False
    engagement = str(row["changed_ns"])
    if not await transaction.first_time(_CONSUMER, engagement):
        return False
    command = message(Kill, now_ns=row["changed_ns"], cause=engagement, reason=row["reason"])
    transaction.emit(COMMANDS.name, command)
    transaction.emit(
        SESSIONS.name,
        message(
            KillSwitch, now_ns=row["changed_ns"], cause=engagement, trace_id=command.trace_id,
            causation_id=command.event_id, reason=row["reason"],
        ),
    )  # fmt: skip
    return True


async def killed_reason(transaction: Transaction) -> str | None:
    """Why the switch is engaged; None where it is not."""
    row = await transaction.connection.fetchrow(SQL["kill_switch"])
    return str(row["reason"]) if row is not None and row["engaged"] else None


async def release(transaction: Transaction, *, reason: str, now_ns: int) -> bool:
    """Lets entries through again; False where the switch was not engaged."""
    return await transaction.connection.fetchval(SQL["release_kill_switch"], reason, now_ns) is not None


def reason_in(path: Path) -> str | None:
    """What the kill file says, None where there is none. A file that cannot be read counts as there."""
    try:
        text = path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError:
        text = ""
    line = text.splitlines()[0][:200] if text else ""
    return line.replace("\x00", "") or f"file {path.name}"
