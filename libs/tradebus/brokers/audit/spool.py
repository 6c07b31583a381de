"""Requests and replies on the local disk, until they are in the book.

    sent ─► line ─► (the request leaves) ─► ended ─► line            take ─► book ─► kept: the files go

Invariants (tested): an exchange that left is handed over once it has ended, or once its process is gone, and stays on
the disk until it is `kept`; memory and disk are bounded: where the book stays away and BYTES_MAX are full, what only
reads is left out, counted, and the count is written; what changes an order is written as long as there is a disk, and
held in memory, up to HELD_MAX, where there is none.
"""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog

from tradebus.audit.exchange import BrokerExchange, ist_text
from tradebus.brokers.audit.log import Ending, behalf
from tradebus.brokers.audit.spool_files import (
    SpoolFiles,
    exchanges_in,
    lock_left_behind,
    remove_folder,
    sent_fields,
)
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource

BYTES_MAX = 256 * 1024 * 1024
HELD_MAX = 10_000
LEFT_OUT = "LEFT_OUT"
_FILE_BYTES_MAX = 8 * 1024 * 1024
_FILES_AT_ONCE = 4
_READS = ("GET", "HEAD")
_log = structlog.get_logger()


@dataclass(slots=True)
class Taken:
    """What was handed over, in the order it was sent; `files` are removed once it is kept, `held` was on no disk."""

    exchanges: list[BrokerExchange] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    held: list[BrokerExchange] = field(default_factory=list)


class Spool:
    """Of one process, `name` as in "execution-1"; for all its threads."""

    def __init__(self, folder: Path, *, name: str, clock: Clock, ids: IdSource, bytes_max: int = BYTES_MAX) -> None:
        self._name, self._clock, self._ids, self._bytes_max = name, clock, ids, bytes_max
        self._files = SpoolFiles(folder / f"{name}.{ids.new_id()}")
        self._guard = threading.Lock()
        self._open: dict[str, BrokerExchange] = {}
        self._unwritten: set[str] = set()  # of the open ones, those whose end would find no beginning on the disk
        self._held: list[BrokerExchange] = []
        self._left_out: dict[str, int] = {}
        self._is_bridging = False
        self.left_out_total = 0

    def of(self, account: str) -> "AccountLog":
        """The log of a login, BROKER:LOGIN."""
        return AccountLog(self, account)

    @property
    def waiting_bytes(self) -> int:
        """On the disk and not in the book yet."""
        return self._files.waiting_bytes

    def sent(self, account: str, method: str, url: str, body: str) -> str:
        """See `ExchangeLog.sent`."""
        who = behalf()
        exchange = BrokerExchange(
            account, self._ids.new_id(), self._name, method, url, body, ist_text(self._clock.now_ns()),
            who.session_id, who.pos_id,
        )  # fmt: skip
        with self._guard:
            if method in _READS and self._files.waiting_bytes > self._bytes_max:
                self._leave_out(account)
                return ""
            if self._files.size > _FILE_BYTES_MAX:
                self._next_file()
            if not self._written("sent", sent_fields(exchange)):
                self._unwritten.add(exchange.exchange_id)
            self._open[exchange.exchange_id] = exchange
        return exchange.exchange_id

    def ended(self, exchange_id: str, ending: Ending) -> None:
        """See `ExchangeLog.ended`."""
        with self._guard:
            exchange = self._open.pop(exchange_id, None)
            if exchange is None:
                return
            whole = replace(exchange, **asdict(ending), answered_at=ist_text(self._clock.now_ns()))
            if exchange_id in self._unwritten:
                self._unwritten.discard(exchange_id)
                self._write_whole(whole)
            elif not self._written(
                "ended", {"exchange_id": exchange_id, "answered_at": whole.answered_at, **asdict(ending)}
            ):
                self._hold(whole)

    def take(self) -> Taken:
        """What has ended, in files that are closed now. Reads the disk: not for the event loop."""
        with self._guard:
            counts, self._left_out = self._left_out, {}
            for account, count in counts.items():
                self._write_whole(self._told(account, count))
            self._next_file()
            taken = Taken(files=self._files.closed_files()[:_FILES_AT_ONCE], held=self._held)
            self._held = []
            open_now = set(self._open) | {one.exchange_id for one in taken.held}
        found = [one for path in taken.files for one in exchanges_in(path)]
        # A file that the disk broke off cannot say what is said again later.
        found = [one for one in found if one.answered_at or one.exchange_id not in open_now]
        taken.exchanges = _once_each([*found, *taken.held])
        return taken

    def kept(self, taken: Taken) -> None:
        """It is in the book."""
        with self._guard:
            for path in taken.files:
                self._files.remove(path)

    def put_back(self, taken: Taken) -> None:
        """The book did not take it: files stand, what was in memory stays there."""
        with self._guard:
            self._held = taken.held + self._held

    def close(self) -> None:
        """Lets its files go: whoever comes next takes them in."""
        with self._guard:
            self._files.close()

    def _next_file(self) -> None:
        untold = self._files.close_file(list(self._open.values()))
        self._unwritten.update(one.exchange_id for one in untold)

    def _written(self, kind: str, what: dict[str, Any]) -> bool:
        """Whether the disk took the line. Where it did not, nothing that began in that file ends in another."""
        try:
            self._files.write(kind, what)
        except OSError as error:
            if not self._is_bridging:
                _log.error("audit: the disk takes nothing, it is held in memory", error=str(error))
            self._is_bridging = True
            self._unwritten.update(self._open)
            return False
        self._is_bridging = False
        return True

    def _write_whole(self, exchange: BrokerExchange) -> None:
        if not self._written("whole", asdict(exchange)):
            self._hold(exchange)

    def _hold(self, exchange: BrokerExchange) -> None:
        if len(self._held) < HELD_MAX:
            self._held.append(exchange)
        else:
            self._leave_out(exchange.account)

    def _leave_out(self, account: str) -> None:
        if not self._left_out:
            _log.error("audit: no room, requests are not recorded", waiting_bytes=self._files.waiting_bytes)
        self._left_out[account] = self._left_out.get(account, 0) + 1
        self.left_out_total += 1

    def _told(self, account: str, count: int) -> BrokerExchange:
        now = ist_text(self._clock.now_ns())
        problem = f"{count} requests before this were not recorded: there was no room for them"
        return BrokerExchange(
            account, self._ids.new_id(), self._name, LEFT_OUT, "", "", now, answered_at=now, problem=problem
        )  # fmt: skip


class AccountLog:
    """See `ExchangeLog`."""

    def __init__(self, spool: Spool, account: str) -> None:
        self._spool, self._account = spool, account

    def sent(self, method: str, url: str, body: str) -> str:
        return self._spool.sent(self._account, method, url, body)

    def ended(self, exchange_id: str, ending: Ending) -> None:
        self._spool.ended(exchange_id, ending)


@contextmanager
def left_behind(folder: Path) -> Iterator[Taken]:
    """Some of what processes that are gone have left under `folder`; the files go where the block ends well. Two never
    take the same. Empty where nothing is left."""
    locks: list[int] = []
    taken = Taken()
    try:
        gone = []
        for one in sorted(folder.iterdir()) if folder.is_dir() else []:
            lock = None if one.name.startswith(".") else lock_left_behind(one)
            if lock is None:
                continue
            locks.append(lock)
            gone.append(one)
            taken.files += sorted(one.glob("*.jsonl"))[: _FILES_AT_ONCE - len(taken.files)]
            if len(taken.files) == _FILES_AT_ONCE:
                break
        found = [one for path in taken.files for one in exchanges_in(path)]
        taken.exchanges = _once_each(found)
        yield taken
        for path in taken.files:
            path.unlink(missing_ok=True)
        for one in gone:
            remove_folder(one)
    finally:
        for lock in locks:
            os.close(lock)


def _once_each(exchanges: Iterable[BrokerExchange]) -> list[BrokerExchange]:
    """In the order they were sent; of two that say the same request, the one that has its end."""
    found: dict[str, BrokerExchange] = {}
    for one in exchanges:
        if one.answered_at or one.exchange_id not in found:
            found[one.exchange_id] = one
    return sorted(found.values(), key=lambda one: one.sent_at)
