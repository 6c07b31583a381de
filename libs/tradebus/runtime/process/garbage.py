"""Python's full garbage collections, kept short.

A full collection looks at every object there is, and nothing else happens meanwhile: 80 ms in a process with a thousand
sessions, several times a minute. What has survived one is long-lived: it is set apart, and the next one looks only at
what came since. Once an hour everything is looked at again, so that nothing dead is kept for good.
"""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from tradebus.kernel.timers import Timer, Timers

_FULL = 2  # the generation of a collection that looks at everything
_ANEW_SECONDS = 3600.0
_log = structlog.get_logger()


@contextmanager
def short_collections(timers: Timers) -> Iterator[None]:
    """While it lasts, full collections look at what is new since the last one; hourly, by `timers`, at everything.

    One at a time in a process: what is set apart is the interpreter's.
    """
    gc.callbacks.append(_set_apart)
    gc.collect()  # what the start has made is long-lived
    hourly = _Hourly(timers)
    try:
        yield
    finally:
        hourly.cancel()
        gc.callbacks.remove(_set_apart)
        gc.unfreeze()


def _set_apart(phase: str, info: Mapping[str, Any]) -> None:
    if phase == "stop" and info["generation"] == _FULL:
        gc.freeze()


class _Hourly:
    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._timer: Timer = timers.after(_ANEW_SECONDS, self._look)

    def cancel(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        began_ns = self._timers.monotonic_ns()
        gc.unfreeze()
        found = gc.collect()
        took_ms = (self._timers.monotonic_ns() - began_ns) / 1e6
        _log.debug("looked at every object", found=found, took_ms=round(took_ms, 1))
        self._timer = self._timers.after(_ANEW_SECONDS, self._look)
