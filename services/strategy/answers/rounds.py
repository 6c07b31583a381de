"""The answers to one entry: those given here, those that came while it was waited, and those that come later.

    paced     everybody is waited for
    live      who answers promptly is waited for a moment; what is not there then is a `LatePart`, taken once it is

What competes is settled together: where the strategies of a session do, all that session's answers wait for its last.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from services.strategy.desks import Desks
from tradebus.runtime.isolation.desk import StrategyDesk
from tradebus.runtime.isolation.errands import Answers, Errand
from tradebus.strategies.lane.asking import Asking, Settled
from tradebus.strategies.lane.sessions import Listener


@dataclass(slots=True)
class EntryTicket:
    """How much of what an entry led to is not stored yet, because it is still to come."""

    parts: int = 0
    earlier: "EntryTicket | None" = None  # where the entry came before

    @property
    def is_open(self) -> bool:
        return self.parts > 0 or (self.earlier is not None and self.earlier.is_open)


@dataclass(slots=True)
class LatePart:
    """Answers that are taken together once the last of them is there."""

    session_id: str
    ticket: EntryTicket
    answers: list[tuple[Listener, Settled | None]] = field(default_factory=list)
    failures: list[tuple[Asking, str]] = field(default_factory=list)
    error: BaseException | None = None


class AskedRound:
    """Places for the answers, in the order in which they were asked for."""

    def __init__(self, desks: Desks) -> None:
        self.answers: list[tuple[Listener, Settled | None]] = []
        self.failures: list[tuple[Asking, str]] = []
        self.errands: dict[int, tuple[StrategyDesk, Errand]] = {}
        self._desks = desks

    def here(self, listener: Listener, settled: Settled | None) -> None:
        if settled is not None:
            self.answers.append((listener, settled))

    def place_for(self, listener: Listener) -> int:
        self.answers.append((listener, None))
        return len(self.answers) - 1

    def errand_to(self, desk: StrategyDesk) -> Errand:
        return self.errands.setdefault(id(desk), (desk, Errand()))[1]

    async def wait_for_all(self) -> None:
        errands = self.errands.values()
        for answers in await asyncio.gather(*(desk.run(errand) for desk, errand in errands)):
            self._place(answers)

    async def wait_for_prompt(
        self, *, together: bool, arrived: Callable[[LatePart], None]
    ) -> EntryTicket | None:  # fmt: skip
        """Leaves what does not come at once to `arrived`, a part for each session; `together` with all that the session
        has answered otherwise. None where nothing is left."""
        put = [(desk, errand, desk.line.is_prompt, desk.line.put(errand)) for desk, errand in self.errands.values()]
        await self._desks.wait_for([answered for _, _, is_prompt, answered in put if is_prompt])
        left: dict[str, list[tuple[Errand, asyncio.Future[Answers]]]] = {}
        for desk, errand, _, answered in put:
            if answered.done() and not answered.cancelled():
                self._place(answered.result())
            elif not answered.done():
                left.setdefault(self._desks.owner(desk), []).append((errand, answered))
        if not left:
            return None
        ticket = EntryTicket(len(left))
        for session_id, waits in left.items():
            self._leave(session_id, waits, ticket, together=together, arrived=arrived)
        return ticket

    def _place(self, answers: Answers) -> None:
        for place, one in answers.settled:
            self.answers[place] = (self.answers[place][0], one)
        self.failures += answers.failures

    def _leave(
        self, session_id: str, waits: list[tuple[Errand, "asyncio.Future[Answers]"]], ticket: EntryTicket, *,
        together: bool, arrived: Callable[[LatePart], None],
    ) -> None:  # fmt: skip
        part = LatePart(session_id, ticket)
        places = {one.place for errand, _ in waits for one in errand.asked}
        if together:
            places |= {
                at for at, (listener, _) in enumerate(self.answers)
                if listener.session.spec.session_id == session_id
            }  # fmt: skip
        index: dict[int, int] = {}
        for at in sorted(places):
            index[at] = len(part.answers)
            part.answers.append(self.answers[at])
            self.answers[at] = (self.answers[at][0], None)
        open_ = len(waits)

        def came(answered: "asyncio.Future[Answers]") -> None:
            nonlocal open_
            open_ -= 1
            if not answered.cancelled():
                part.error = answered.exception() or part.error
                if part.error is None:
                    answers = answered.result()
                    part.failures += answers.failures
                    for place, one in answers.settled:
                        part.answers[index[place]] = (part.answers[index[place]][0], one)
            if open_ == 0:
                arrived(part)

        for _, answered in waits:
            answered.add_done_callback(came)
