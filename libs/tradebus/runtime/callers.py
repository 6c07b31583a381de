"""Who is connected and has not come to the point: so many and no more, the one that has taken longest goes first."""

from collections.abc import Callable, Hashable


class Callers:
    """`most` are kept. Whoever comes when it is full has the one cut that has been idle longest."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._cuts: dict[Hashable, Callable[[], None]] = {}

    def came(self, who: Hashable, cut: Callable[[], None]) -> None:
        """Somebody is connected and owes us a request. `cut` ends the connection."""
        while len(self._cuts) >= self._most:
            longest = next(iter(self._cuts))
            self._cuts.pop(longest)()
        self._cuts[who] = cut

    def left(self, who: Hashable) -> None:
        """Has come to the point, or is gone."""
        self._cuts.pop(who, None)

    def __len__(self) -> int:
        return len(self._cuts)
