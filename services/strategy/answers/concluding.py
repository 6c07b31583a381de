"""What the answers to an entry lead to: rows of the journal and signals, in the order in which was asked."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from services.strategy.answers.histories import FailedStrategy
from services.strategy.answers.rounds import AskedRound, EntryTicket, LatePart
from services.strategy.desks import Desks
from tradebus.bus.port import Entry
from tradebus.runtime.isolation.desk import StrategyDesk
from tradebus.strategies.lane.asking import Asking, Settled
from tradebus.strategies.lane.conflicts import Conflicts, settle_conflicts
from tradebus.strategies.lane.decisions import DecisionRow, row_of
from tradebus.strategies.lane.legs import signals_of
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.runner import Runner
from tradebus.strategies.lane.sessions import ActiveSessions, Listener, bid_of
from tradebus.trading.facts import Signal

_log = structlog.get_logger()


@dataclass(slots=True)
class Decided:
    """What an entry led to. `given_up`: files whose process keeps dying, and those whose history cannot be read.
    `ticket`: something is still to come; `tickets`: what of earlier entries this is the rest of."""

    rows: list[DecisionRow] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    given_up: list[FailedStrategy] = field(default_factory=list)
    ticket: EntryTicket | None = None
    tickets: list[EntryTicket] = field(default_factory=list)


class Concluding:
    """`paced` says that everybody is waited for. `arrived` is called when there is something to take."""

    def __init__(
        self, active: ActiveSessions, *, desks: Desks, book: PositionBook, conflicts: Conflicts, paced: bool
    ) -> None:  # fmt: skip
        self._active, self._desks, self._book = active, desks, book
        self._conflicts, self._paced = conflicts, paced
        self.arrived: Callable[[], None] = lambda: None
        self._arrived: list[LatePart] = []
        self._tickets: dict[tuple[str, str], EntryTicket] = {}
        self._life = 0
        self._bell = asyncio.Event()

    async def collect(
        self, asked: AskedRound, entry: Entry, *, failed: Sequence[FailedStrategy]
    ) -> Decided:  # fmt: skip
        """Puts the answers into the order in which they were asked for: all of them in a paced run, those that are
        there in a live one."""
        ticket: EntryTicket | None = None
        if self._paced:
            await asked.wait_for_all()
        else:
            together = self._conflicts is not Conflicts.INDEPENDENT
            arrived = partial(self._came, self._life)
            ticket = self._kept(entry, await asked.wait_for_prompt(together=together, arrived=arrived))
        decided = Decided(given_up=list(failed), ticket=ticket)
        if asked.errands:
            decided.given_up += self._given_up([desk for desk, _ in asked.errands.values()])
        self._settle(asked.answers, asked.failures, decided)
        return decided

    def take_arrived(self) -> Decided:
        """What the answers led to that have come since this was asked last. Raises what a desk has raised."""
        arrived, self._arrived = self._arrived, []
        decided = Decided(tickets=[part.ticket for part in arrived])
        for part in arrived:
            if part.error is not None:
                raise part.error
            # Who was stopped meanwhile, or taken up anew, has nothing to say any more.
            current = [one for one in part.answers if self._active.get(part.session_id) is one[0].session]
            self._settle(current, part.failures, decided)
        decided.given_up = self._given_up(self._desks.all())
        return decided

    def drop(self) -> None:
        """What is still to come counts no more: the entries it belongs to come again."""
        self._arrived, self._tickets = [], {}
        self._life += 1

    def pause(self, failed: FailedStrategy) -> FailedStrategy | None:
        """Pauses a session whose strategy cannot go on; None where it is paused already, or gone."""
        session = self._active.get(failed.session_id)
        if session is None or session.paused:
            return None
        session.paused = True
        return failed

    @property
    def is_waiting(self) -> bool:
        """Whether something is still to come, or to be taken."""
        return bool(self._arrived) or any(ticket.is_open for ticket in self._tickets.values())

    async def next_arrival(self) -> None:
        """Returns once there is something to take."""
        while not self._arrived:
            self._bell.clear()
            await self._bell.wait()

    def _came(self, life: int, part: LatePart) -> None:
        if life == self._life:
            self._arrived.append(part)
            self._bell.set()
            self.arrived()

    def _kept(self, entry: Entry, ticket: EntryTicket | None) -> EntryTicket | None:
        """Of an entry that comes again while its answers are still to come, the earlier ones count too."""
        self._tickets = {place: one for place, one in self._tickets.items() if one.is_open}
        place = entry.stream, entry.entry_id
        earlier = self._tickets.get(place)
        if ticket is None:
            return earlier
        ticket.earlier = earlier
        self._tickets[place] = ticket
        return ticket

    def _settle(
        self, placed: Sequence[tuple[Listener, Settled | None]], failures: Sequence[tuple[Asking, str]],
        decided: Decided,
    ) -> None:  # fmt: skip
        for asking, trace in failures:
            self.say(asking.told(trace), asking)
        answers = [(listener, one) for listener, one in placed if one is not None]
        if self._conflicts is not Conflicts.INDEPENDENT:
            settle_conflicts([bid_of(*each) for each in answers], self._conflicts, self._book.holders)
        for listener, one in answers:
            self._take(one, listener.runner, decided)

    def _given_up(self, asked: Sequence[StrategyDesk]) -> list[FailedStrategy]:
        """Sessions whose file is given up; each is paused here, and so said once."""
        if all(desk.given_up is None for desk in asked):
            return []
        found = []
        for session in self._active.all():
            if not session.paused:
                session_id = session.spec.session_id
                found += [
                    FailedStrategy(session_id, strategy, why) for strategy, why in self._desks.given_up(session_id)
                ]
                session.paused = bool(self._desks.given_up(session_id))
        return found

    def _take(self, settled: Settled, runner: Runner, decided: Decided) -> None:
        decision, moment = settled.decision, settled.moment
        signals = signals_of(
            decision, runner.source, moment, position=settled.position, group=settled.group, legs=settled.legs
        )
        group_id = next((signal.group_id for signal in signals if signal.group_id is not None), None)
        decided.rows.append(row_of(decision, runner.source, moment, group_id=group_id))
        decided.signals += signals
        self.say(settled.failure, runner.asking)

    def say(self, failure: str | None, asking: Asking) -> None:
        """One log line per session, strategy and symbol; the journal has the others."""
        if failure is not None:
            _log.error("strategy raised", **asking.source.key._asdict(), traceback=failure)
