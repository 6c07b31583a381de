"""What one process is asked because of one entry, and what comes of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tradebus.runtime.isolation.wire import step_of
from tradebus.strategies.lane.asking import Ask, Asking, Settled
from tradebus.strategies.lane.sessions import ActiveSession


class Question(NamedTuple):
    """One that an answer is wanted to; `place` in the caller's list."""

    place: int
    asking: Asking
    ask: Ask
    session: ActiveSession


@dataclass(slots=True)
class Answers:
    """`settled`: (place, what an answer counts for). `failures`: (who, traceback) of what failed unasked."""

    settled: list[tuple[int, Settled]] = field(default_factory=list)
    failures: list[tuple[Asking, str]] = field(default_factory=list)


class Errand:
    """The questions in order. `needed`: the runners whose instance must be there from an earlier errand."""

    def __init__(self) -> None:
        self.steps: list[list[Any]] = []
        self.asked: list[Question] = []
        self.askings: dict[int, Asking] = {}
        self.made: set[int] = set()
        self.needed: set[int] = set()

    def rebuild(self, runner: int, asking: Asking, replayed: Sequence[Ask]) -> None:
        self.askings[runner] = asking
        self.made.add(runner)
        self.steps.append(["make", runner])
        self.steps += [step_of(ask, runner) for ask in replayed]

    def ask(self, runner: int, asking: Asking, ask: Ask, *, place: int, session: ActiveSession) -> None:
        """`session` says, once the answer is there, whether it may enter."""
        self.askings[runner] = asking
        if runner not in self.made:
            self.needed.add(runner)
        self.steps.append(step_of(ask, runner))
        if ask.moment is not None:
            self.asked.append(Question(place, asking, ask, session))

    @property
    def ticked(self) -> set[int]:
        """The runners that are asked about ticks."""
        return {step[1] for step in self.steps if step[0] == "tick"}

    def leave_ticks_out(self, runners: Collection[int]) -> int:
        """Asks these about no tick; how many questions that were."""
        before = len(self.steps)
        askings = {id(self.askings[runner]) for runner in runners if runner in self.askings}
        self.steps = [step for step in self.steps if step[0] != "tick" or step[1] not in runners]
        self.asked = [
            one for one in self.asked if one.ask.moment is None or one.ask.moment.cause != "tick"
            or id(one.asking) not in askings
        ]  # fmt: skip
        return before - len(self.steps)
