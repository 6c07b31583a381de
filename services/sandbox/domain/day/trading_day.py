"""The day under way: who trades when, and which of its events are still to come."""

from datetime import date

import numpy as np

from services.sandbox.domain.day.events import DayEvent, DayEventKind, events_of
from services.sandbox.domain.instruments.shape import Flags, Ints
from tradebus.calendar import MarketClass, session_for


class TradingDay:
    """`market_class` is each instrument's number among `MarketClass`, shape [instruments]."""

    def __init__(self, day: date, market_class: Ints) -> None:
        self.day, self._class_of = day, market_class
        self._events: list[DayEvent] = events_of(day)

    def begin(self, day: date) -> None:
        """The next day."""
        self.day, self._events = day, events_of(day)

    def pass_over(self, until_ns: int) -> None:
        """What was due up to there happened without us."""
        self._events = [event for event in self._events if event.at_ns > until_ns]

    def take_due(self, now_ns: int) -> DayEvent | None:
        """The next event, taken off, where it is due."""
        return self._events.pop(0) if self._events and self._events[0].at_ns <= now_ns else None

    def next_event_ns(self) -> int | None:
        return self._events[0].at_ns if self._events else None

    def next_open_ns(self, at_ns: int) -> int | None:
        """When trading begins next; None while it is going on."""
        if self.any_open(at_ns):
            return None
        for event in self._events:
            if event.event is DayEventKind.OPEN:
                return event.at_ns
        return self._events[-1].at_ns if self._events else None

    def open(self, at_ns: int) -> Flags:
        """Whose class trades continuously at the instant."""
        flags = np.zeros(len(MarketClass), np.bool_)
        for number, market_class in enumerate(MarketClass):
            session = session_for(self.day, market_class)
            flags[number] = session is not None and session.contains(at_ns)
        opened: Flags = flags[self._class_of]
        return opened

    def any_open(self, at_ns: int) -> bool:
        sessions = (session_for(self.day, market_class) for market_class in MarketClass)
        return any(session is not None and session.contains(at_ns) for session in sessions)

    def fraction(self, at_ns: int) -> float:
        """How much of the derivatives' session is over."""
        session = session_for(self.day, MarketClass.DERIVATIVE)
        if session is None:
            return 0.5
        return (at_ns - session.open_ns) / (session.close_ns - session.open_ns)
