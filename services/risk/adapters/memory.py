"""Risk's book in memory (`services.risk.ports.RiskBook`): passes the Postgres one's suite.

Tables: "risk_state" (session id to the encoded state and its version), "risk_decisions" (event id to `Line`),
"risk_headroom" (session id to its instant and JSON), "instruments" (id to Instrument), "candles_1m" (an instrument's
bars), "data_gaps" (id to what has `instruments`, `announced` and `filled_ns`).
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

from services.risk.adapters.codec import decode, encode
from services.risk.adapters.postgres import CONSUMER, HEARD, PAUSES
from services.risk.ports import MessageEffect, SessionHeadroom, SessionRow, StateConflict, UnreadableRow
from tradebus.contracts.base import Message
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import SessionStatus
from tradebus.risk.state import RiskState
from tradebus.runtime.consuming.handling import reason_of
from tradebus.store.books import kill_switch_book, session_register, sessions_book
from tradebus.store.memory_book import EVENTS, INBOX, MemoryBook, MemoryDatabase
from tradebus.trading.size.daily_range import DailyBar, day_bars

_APPROVALS = ("ENTRY_APPROVED", "ENTRY_REDUCED", "EXIT_APPROVED")


class MemoryRiskBook:
    def __init__(self, book: MemoryBook) -> None:
        self._book, self._database = book, book.database
        self._sessions, self._register, self._switch = (
            sessions_book(book), session_register(book), kill_switch_book(book),
        )  # fmt: skip

    async def sessions(self, session_id: str | None = None) -> list[SessionRow | UnreadableRow]:
        self._database.check()
        states = self._database.table("risk_state")
        ids = sorted(one for one in states if session_id in (None, one))
        specs, ended = await self._sessions.specs(ids), set(await self._sessions.ended(ids))
        found: list[SessionRow | UnreadableRow] = []
        for one in ids:
            text, version = states[one]
            try:
                row = SessionRow(specs[one], decode(text), version, one in ended)
            except ValueError as error:
                found.append(UnreadableRow(one, reason_of(error)))
                continue
            if not row.is_over or row.state.live():
                found.append(row)
        return found

    async def ended_lately(self) -> list[SessionRow]:
        self._database.check()
        states: dict[str, tuple[RiskState, int]] = {}
        for name, (text, version) in self._database.table("risk_state").items():
            with suppress(ValueError):  # one that cannot be read is told with the sessions
                states[name] = decode(text), version
        newest = max((state.day for state, _ in states.values()), default=None)
        ended = sorted(await self._sessions.ended(list(states)))
        specs = await self._sessions.specs(ended)
        rows = [SessionRow(specs[name], *states[name], True) for name in ended]
        return [row for row in rows if row.state.day == newest and not row.state.live()]

    async def take_up(self, message_id: str, session_id: str) -> None:
        async with self._book.begin() as tx:
            if await tx.first_time(CONSUMER, message_id):
                tx.table("risk_state").setdefault(session_id, (encode(RiskState()), 0))
                await self._sessions.participate(tx, session_id, service=CONSUMER)

    async def record(self, record: MessageEffect) -> bool:
        return (await self.record_all([record]))[0]

    async def record_all(self, records: Sequence[MessageEffect]) -> list[bool]:
        async with self._book.begin() as tx:
            return [await self._write(tx, record) for record in records]

    async def record_kill(self, record: MessageEffect, *, reason: str, changed_ns: int) -> bool | None:
        async with self._book.begin() as tx:
            if not await self._write(tx, record):
                return None
            stands = await self._switch.engage(
                tx, reason=reason, at_ns=changed_ns, unless_released_since_ns=changed_ns
            )  # fmt: skip
            return stands.engaged

    async def tell_headroom(self, changed: Sequence[SessionHeadroom], *, gone: Sequence[str]) -> None:
        async with self._book.begin() as tx:
            table = tx.table("risk_headroom")
            for name in gone:
                table.pop(name, None)
            for one in changed:
                table[one.session_id] = (one.as_of_ns, one.to_json())

    async def is_killed(self) -> bool:
        stands = await self._switch.read()
        return stands is not None and stands.engaged

    async def instruments(self) -> list[Instrument]:
        self._database.check()
        return list(self._database.table("instruments").values())

    async def day_bars(self, instrument: int, *, before_ns: int) -> list[DailyBar]:
        self._database.check()
        minutes = self._database.table("candles_1m").get(instrument)
        return [] if minutes is None else day_bars(minutes, before_ns=before_ns)

    async def open_gaps(self) -> dict[str, tuple[int, ...]]:
        self._database.check()
        gaps = self._database.table("data_gaps").items()
        return {gap_id: tuple(gap.instruments) for gap_id, gap in gaps if gap.announced and gap.filled_ns is None}

    async def unheard(self, session_ids: Sequence[str], pos_ids: Sequence[str]) -> list[Message]:
        self._database.check()
        changing = [one.session.session_id for one in await self._register.changing()]
        inbox = self._database.table(INBOX)
        lifted = {
            one.session_id: one.ts_event_ns for one in _events(self._database, PAUSES)
            if (CONSUMER, one.event_id) in inbox
        }  # fmt: skip
        found = [
            one for one in _events(self._database, HEARD)
            if _is_of(one, {*session_ids, *changing}, pos_ids) and (CONSUMER, one.event_id) not in inbox
            and not (one.TYPE in PAUSES and lifted.get(one.session_id, -1) > one.ts_event_ns)
        ]  # fmt: skip
        return sorted(found, key=lambda one: (one.ts_event_ns, HEARD.index(one.TYPE), one.event_id))

    async def untaken(self, session_ids: Sequence[str], pos_ids: Sequence[str]) -> list[Message]:
        self._database.check()
        intents = self._database.table("intents")
        stopping = [
            one.session.session_id for one in await self._register.changing()
            if one.session.status is SessionStatus.STOPPING
        ]  # fmt: skip
        found = [
            one for one in _events(self._database, _APPROVALS)
            if _is_of(one, {*session_ids, *stopping}, pos_ids) and getattr(one, "intent_id", None) not in intents
        ]  # fmt: skip
        return sorted(found, key=lambda one: (one.ts_event_ns, one.event_id))

    async def _write(self, tx: Any, record: MessageEffect) -> bool:
        if not await tx.first_time(CONSUMER, record.message_id):
            return False
        states, decisions = tx.table("risk_state"), tx.table("risk_decisions")
        for change in record.changes:
            await tx.lock(f"risk_state {change.session_id}")
            if states[change.session_id][1] != change.version:
                raise StateConflict(f"risk_state of {change.session_id}: not the version this service has read")
            states[change.session_id] = (encode(change.state), change.version + 1)
        for line in record.lines:
            decisions.setdefault(line.event_id, line)
        for stream, message in record.messages:
            tx.emit(stream, message)
        return True


def _is_of(message: Message, session_ids: Collection[str], pos_ids: Collection[str]) -> bool:
    return message.session_id in session_ids or message.pos_id in pos_ids


def _events(database: MemoryDatabase, types: Collection[str]) -> list[Message]:
    return [event.message for event in database.table(EVENTS).values() if event.message.TYPE in types]
