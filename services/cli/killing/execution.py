"""Whether execution answers: by its health address where a stack of this machine says one, by its heart in the book."""

import asyncio
from collections.abc import Iterable, Sequence

import httpx

from services.cli.killing.record import BookOfRecord
from services.cli.stack.rundir import RunState
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import sleep

SILENT_SECONDS = 2.0
# Its heart beats every second, on a busy machine somewhat later.
_BEAT_SECONDS = 3.0
# Heard of within this, it may be late only: two seconds are waited for its next beat.
_LATE_SECONDS = 15.0
# Where the book does not answer execution can decide nothing, however well it is: so long it may know better. A book
# that is stopped takes the connection and says nothing: what was waited for that counts.
_ALONE_SECONDS = 2.0
_ASK_SECONDS = 1.5
_EVERY_SECONDS = 0.5


class ExecutionWatch:
    """`answers` is kept up to date by `run`; nobody knows before the first look is over."""

    def __init__(self, runs: Sequence[RunState], record: BookOfRecord, *, timers: Timers) -> None:
        self._addresses = list(_addresses(runs))
        self._record, self._timers = record, timers
        self._heard_ns: int | None = None
        self._began_ns = self._opened_ns = timers.monotonic_ns()
        self._beat_lately = self._silent = False
        self.looked = asyncio.Event()

    @property
    def answers(self) -> bool:
        """Whether it was heard of when it was asked in the last two seconds; at the start so long is waited for it."""
        if self._heard_ns is None:
            return not self.looked.is_set()
        if self._record.problem and self._waited(self._began_ns, _ALONE_SECONDS):
            return False
        return not self._silent

    async def run(self, opening: "asyncio.Task[None]") -> None:
        """Until it is cancelled. Nothing is concluded before `opening` of the book is over."""
        await asyncio.wait({opening})
        self._opened_ns = self._timers.monotonic_ns()
        while True:
            if await self._heard():
                self._heard_ns, self._silent = self._timers.monotonic_ns(), False
                self.looked.set()
            elif self._heard_ns is not None:  # asked, and nobody there: time alone says nothing of a busy machine
                self._silent = self._waited(self._heard_ns, SILENT_SECONDS)
            elif self._waited(self._opened_ns, SILENT_SECONDS) or not (self._addresses or self._beat_lately):
                self.looked.set()
            await sleep(self._timers, _EVERY_SECONDS)

    def _waited(self, since_ns: int, seconds: float) -> bool:
        return self._timers.monotonic_ns() - since_ns >= seconds * 1e9

    async def _heard(self) -> bool:
        asked = await asyncio.gather(*(_ready(address) for address in self._addresses), self._beats())
        return any(asked)

    async def _beats(self) -> bool:
        seconds = await self._record.heard_seconds_ago()
        self._beat_lately = seconds is not None and seconds < _LATE_SECONDS
        return seconds is not None and seconds < _BEAT_SECONDS


async def _ready(address: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=_ASK_SECONDS, trust_env=False) as http:
            return (await http.get(address)).status_code == httpx.codes.OK
    except (httpx.HTTPError, OSError):
        return False


def _addresses(runs: Sequence[RunState]) -> Iterable[str]:
    for run in runs:
        service = run.services.get("execution")
        if service is not None and service.pid:
            yield f"http://127.0.0.1:{service.health_port}/readyz"
