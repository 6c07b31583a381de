"""How often in a row something was found: what may be under way is given time."""

from collections.abc import Mapping, Sequence

from tradebus.contracts.orders import Difference

PATIENCE = 2  # reconciliations in a row before a difference that may be under way counts


class Recurrence:
    """Counts per reconciliation; what is not there any more is forgotten. `open_questions` is how many differences the
    next look decides about."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._now: set[str] = set()
        self.open_questions = 0

    def begin(self) -> None:
        """A new look."""
        self._seen = {what: times for what, times in self._seen.items() if what in self._now}
        self._now, self.open_questions = set(), 0

    def count(self, what: str) -> int:
        """How often in a row it has been there, this time included."""
        self._seen[what] = self._seen.get(what, 0) + 1
        self._now.add(what)
        return self._seen[what]

    def lasting(self, found: Sequence[Difference], *, moved: Mapping[str, int] | None = None) -> list[Difference]:
        """Those that were there the last time too; the others leave open whether book and broker agree.

        `moved` says of things that move by themselves how far they had moved: what is said of one that has moved since
        the last look is another difference, though the words are the same.
        """
        moved = moved or {}
        lasting = [
            one
            for one in found
            if self.count(f"{one.what} {one.ours} {one.brokers} {moved.get(one.what, '')}") >= PATIENCE
        ]
        self.open_questions += len(found) - len(lasting)
        return lasting
