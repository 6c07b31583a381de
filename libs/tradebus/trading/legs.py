"""Legs: several contracts that are one idea. Each becomes a trade of its own; the group's id ties them together.

Invariants (property-tested): a group's and a leg's ids are pure functions of what asked for them; legs that are bought
come before those that are sold, so that nothing is sold uncovered first; quantities are in multiples of one unit.
"""

from dataclasses import dataclass

from tradebus.contracts.signals import Side
from tradebus.kernel.ids import derive_id

LEGS_MAX = 8


@dataclass(frozen=True, slots=True)
class Leg:
    """One contract of a group. `ratio` is how many of it there are for one unit of the group."""

    instrument: int
    symbol: str
    side: Side
    ratio: int = 1
    stop_paise: int | None = None
    target_paise: int | None = None


@dataclass(frozen=True, slots=True)
class Legs:
    """A group as it is asked for. Raises ValueError for none, too many, one contract twice or a ratio below one."""

    legs: tuple[Leg, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.legs) <= LEGS_MAX:
            raise ValueError(f"a group has 1 to {LEGS_MAX} legs, not {len(self.legs)}")
        if len({leg.instrument for leg in self.legs}) < len(self.legs):
            raise ValueError("a group has each contract once")
        for leg in self.legs:
            if leg.ratio < 1:
                raise ValueError(f"leg {leg.symbol}: a ratio of {leg.ratio} is not positive")

    @property
    def in_order(self) -> tuple[Leg, ...]:
        """As they are placed: bought ones first, otherwise as they were given."""
        return tuple(sorted(self.legs, key=lambda leg: leg.side is Side.SHORT))


def group_id(session_id: str, strategy: str, symbol: str, ts_event_ns: int) -> str:
    """The id of the group that a strategy asks for on a symbol at an instant; its trades carry it for life."""
    return derive_id(ts_event_ns, "legs", session_id, strategy, symbol, ts_event_ns)


def leg_pos_id(group: str, leg: Leg, ts_event_ns: int) -> str:
    """The id of the position of one leg."""
    return derive_id(ts_event_ns, "leg", group, leg.symbol)
