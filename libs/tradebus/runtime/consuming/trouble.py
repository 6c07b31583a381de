"""What keeps a component from its work, for /readyz: a service that cannot read is alive and of no use."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable


class Trouble:
    """`problem` is None where nothing keeps its owner from working."""

    def __init__(self, problem: str | None = None) -> None:
        self.problem = problem


@runtime_checkable
class Troubled(Protocol):
    """A component that knows when it cannot work."""

    @property
    def troubles(self) -> Iterable[Trouble]: ...


def first_problem(components: Iterable[object]) -> str | None:
    """What keeps the first component that cannot work from it."""
    troubles = (trouble for one in components if isinstance(one, Troubled) for trouble in one.troubles)
    return next((trouble.problem for trouble in troubles if trouble.problem is not None), None)
