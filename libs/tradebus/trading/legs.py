"""Legs: several contracts that are one idea. Each becomes a trade of its own; the group's id ties them together.

Invariants (property-tested): a group's and a leg's ids are pure functions of what asked for them, and a group's id
tells who asked; legs that are bought come before those that are sold, so that nothing is sold uncovered first;
quantities are in multiples of one unit.
"""

from dataclasses import dataclass

from tradebus.contracts.signals import LEGS_MAX, RATIO_MAX, Leg, Side
from tradebus.kernel.ids import derive_id, milliseconds_of
from tradebus.kernel.time import NANOSECONDS_PER_MILLISECOND


@dataclass(frozen=True, slots=True)
class Legs:
    """A group as it is asked for. Raises ValueError for none, too many, one contract twice or a ratio that is none."""

    legs: tuple[Leg, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.legs) <= LEGS_MAX:
            raise ValueError(f"a group has 1 to {LEGS_MAX} legs, not {len(self.legs)}")
        if len({leg.instrument for leg in self.legs}) < len(self.legs):
            raise ValueError("a group has each contract once")
        for leg in self.legs:
            if not 1 <= leg.ratio <= RATIO_MAX:
                raise ValueError(f"leg {leg.symbol}: a ratio of {leg.ratio} is not within 1 to {RATIO_MAX}")

    @property
    def in_order(self) -> tuple[Leg, ...]:
        """As they are placed: bought ones first, otherwise as they were given."""
        return tuple(sorted(self.legs, key=lambda leg: leg.side is Side.SHORT))


def group_id(session_id: str, strategy: str, symbol: str, ts_event_ns: int) -> str:
    """The id of the group that a strategy asks for on a symbol at an instant; its trades carry it for life.

    It derives from the millisecond, which an id shows: so anybody can tell whose a group is (`is_group_of`).
    """
    return _group_id(session_id, strategy, symbol, ts_event_ns // NANOSECONDS_PER_MILLISECOND)


def is_group_of(group: str, session_id: str, strategy: str, symbol: str) -> bool:
    """Whether a strategy asked for this group on this symbol."""
    return group == _group_id(session_id, strategy, symbol, milliseconds_of(group))


def _group_id(session_id: str, strategy: str, symbol: str, milliseconds: int) -> str:
    return derive_id(
        milliseconds * NANOSECONDS_PER_MILLISECOND, "legs", session_id, strategy, symbol, milliseconds
    )  # fmt: skip


def leg_pos_id(group: str, symbol: str) -> str:
    """The id of the position in one contract of a group."""
    return derive_id(milliseconds_of(group) * NANOSECONDS_PER_MILLISECOND, "leg", group, symbol)
