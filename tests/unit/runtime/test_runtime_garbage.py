"""Full garbage collections look at what is new, hourly at everything; in a process of their own nobody else notices."""

import gc
import weakref

from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import SimulatedTimers
from tradebus.runtime.process.garbage import short_collections

HOUR_NS = 3600 * NANOSECONDS_PER_SECOND


class Knot:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


def test_what_survived_a_full_collection_is_looked_at_again_within_the_hour() -> None:
    timers = SimulatedTimers()
    with short_collections(timers):
        knot = Knot()
        gone = weakref.ref(knot)
        gc.collect()
        del knot
        gc.collect()
        assert gone() is not None  # set apart: the price of a short collection
        timers.advance(HOUR_NS)
        assert gone() is None


def test_what_came_since_is_collected_as_ever() -> None:
    with short_collections(SimulatedTimers()):
        gone = weakref.ref(Knot())
        gc.collect()
        assert gone() is None


def test_a_full_collection_has_little_to_look_at() -> None:
    kept = [Knot() for _ in range(10_000)]
    with short_collections(SimulatedTimers()):
        assert len(gc.get_objects()) < len(kept)


def test_nothing_is_left_behind() -> None:
    timers, before = SimulatedTimers(), list(gc.callbacks)
    with short_collections(timers):
        gc.collect()
    assert gc.callbacks == before
    assert gc.get_freeze_count() == 0
    assert timers.next_due_ns() is None
