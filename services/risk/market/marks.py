"""Ticks to marks: in memory, durable only where something is decided; found again in the stream after a restart.

What left the stream before it was read (a live stream is trimmed past a reader that was away) is done without: the next
tick gives the marks back, and judges the loss anew.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import takewhile

import numpy as np
import structlog

from services.risk.market.last_ticks import SLICES_READ
from services.risk.market.surroundings import Surroundings
from services.risk.ports import StateConflict
from services.risk.sessions import Cursor, RiskSession, RiskSessions
from tradebus.bus.port import Bus, Entry, id_order
from tradebus.contracts.records import TICK, Records, decode
from tradebus.contracts.streams import MD_TICKS, key_of
from tradebus.risk.marking import held_instruments, mark, select
from tradebus.risk.state import RiskState
from tradebus.risk.step import on_ticks
from tradebus.runtime.consuming.handling import reason_of
from tradebus.runtime.patience import PASSING

TICKS_STREAM = key_of(MD_TICKS)
_NO_TICKS = np.zeros(0, TICK)
_log = structlog.get_logger()


class Marks:
    def __init__(self, sessions: RiskSessions, surroundings: Surroundings, *, bus: Bus, paced: bool) -> None:
        self._sessions, self._surroundings, self._bus, self._paced = sessions, surroundings, bus, paced

    async def load(self) -> None:
        """After the sessions are loaded: where the stream stands, and what their states remember of it."""
        market = self._surroundings.market
        if not market.data_ns:
            watermark_ns = await self._bus.last_watermark(TICKS_STREAM) or 0
            newest = await self._bus.tail(TICKS_STREAM, count=SLICES_READ)
            self._surroundings.last_ticks.find_again(newest)
            entry_id = newest[-1].entry_id if newest else "0"
            if watermark_ns:
                market.heard(watermark_ns, entry_id)
            self._sessions.cursor = Cursor(watermark_ns, entry_id)
        for session in self._sessions.alive.values():
            market.remember(session.state.marked_ns, session.state.marked_entry_id)

    async def take(self, entry: Entry) -> None:
        """One slice of ticks. Raises ValueError for what is none. What one session makes of it stops no other."""
        if entry.watermark_ns is None:
            raise ValueError("a tick batch without a watermark")
        batch = decode(entry.body, TICK)
        self._surroundings.last_ticks.take(batch)
        self._surroundings.market.heard(entry.watermark_ns, entry.entry_id)
        self._sessions.cursor = Cursor(entry.watermark_ns, entry.entry_id)
        if not self._sessions.held:
            return
        await self._catch_up_to(entry, watermark_ns=entry.watermark_ns)
        ticks = select(batch, self._sessions.held) if self._sessions.held else batch[:0]
        for session in list(self._sessions.alive.values()):
            if session.is_behind or not session.held:
                continue  # behind: delivered again, its marks are in the state
            try:
                await self._mark(session, ticks, watermark_ns=entry.watermark_ns)
            except (*PASSING, StateConflict):
                raise
            except Exception as error:
                if self._paced:
                    raise
                if not session.problem:
                    _log.error("session put aside", session_id=session.terms.session_id, exc_info=error)
                session.problem = reason_of(error)
            else:
                session.problem = ""

    async def judge_before(self, end_ns: int, session: RiskSession) -> None:
        """Paced, a loaded session may be asked about before its next slice comes: judged by older marks than without
        the restart, the answer could be another. The slices that end before the message's place in the merge were
        handled before it then, so they are now."""
        if session.is_behind and self._paced:
            await self._catch_up([session], stop=lambda entry: (entry.watermark_ns or 0) >= end_ns)

    async def _mark(self, session: RiskSession, ticks: Records, *, watermark_ns: int) -> None:
        held = session.held
        own = ticks if held.issuperset(self._sessions.held) else select(ticks, sorted(held))
        step = on_ticks(session.state, own, self._surroundings.of(session.terms), end_ns=watermark_ns + 1)
        if step.verdicts:
            session_id = session.terms.session_id
            await self._sessions.save(f"ticks:{session_id}:{watermark_ns}", {session_id: step})
        elif step.state is not session.state:
            session.state = step.state
            self._sessions.count()

    async def _catch_up_to(self, entry: Entry, *, watermark_ns: int) -> None:
        behind = [
            session for session in self._sessions.alive.values()
            if session.is_behind and watermark_ns > session.state.marked_ns
        ]  # fmt: skip
        if behind:
            place = id_order(entry.entry_id)
            await self._catch_up(behind, stop=lambda later: id_order(later.entry_id) >= place)
            for session in behind:
                session.is_behind = False

    async def _catch_up(self, sessions: Sequence[RiskSession], *, stop: Callable[[Entry], bool]) -> None:
        """Brings the marks of loaded sessions forward, to the first slice where `stop` holds. What lies between was
        judged before the restart, so marks are all there is to it."""
        after = {TICKS_STREAM: min((one.state.marked_entry_id for one in sessions), key=id_order)}
        while entries := await self._bus.follow([TICKS_STREAM], after=after, block_ms=0):
            passed = list(takewhile(lambda entry: not stop(entry), entries))
            if passed:
                after[TICKS_STREAM] = passed[-1].entry_id
                slices = _Slices(passed)
                for session in sessions:
                    session.state = slices.marked(session.state)
                self._sessions.count()
            if len(passed) < len(entries):
                return


class _Slices:
    """Slices one after the other, taken as one: that gives the same marks. One that cannot be read is among the dead
    letters and marks nothing."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._last = entries[-1]
        self._places = [id_order(entry.entry_id) for entry in entries]
        self._watermarks_ns = [entry.watermark_ns or 0 for entry in entries]
        batches = [_batch(entry) for entry in entries]
        self._ticks = np.concatenate(batches)
        self._starts = np.cumsum([0, *(batch.size for batch in batches)])

    def marked(self, state: RiskState) -> RiskState:
        """The marks after those of the slices that the state does not have yet."""
        first = bisect_right(self._places, id_order(state.marked_entry_id))
        if first == len(self._places):
            return state
        ticks = select(self._ticks[self._starts[first] :], sorted(held_instruments(state)) or [-1])
        end_ns = max(self._watermarks_ns[first:])
        marked = mark(state, ticks, end_ns=end_ns + 1, loss_limit_paise=None).state
        return replace(marked, marked_ns=end_ns, marked_entry_id=self._last.entry_id)


def _batch(entry: Entry) -> Records:
    try:
        return decode(entry.body, TICK) if entry.watermark_ns is not None else _NO_TICKS
    except ValueError:
        return _NO_TICKS
