"""The broker's price band of the day, held to before an entry is sent: outside of it the exchange refuses the order.

    entry ─► band known? ─┬─ yes ─► inside: sent; outside: not sent, says why
                          └─ no ──► asked for, a second at most; what stays unknown holds nothing back

A band moves within a day: one that is used is asked for again every minute, and counts for ten.
"""

import asyncio
from collections.abc import Callable

import structlog

from tradebus.brokers.reference import ListedInstrument, PriceBand, ReferenceData
from tradebus.kernel.money import format_rupees
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import OrderRequest
from tradebus.waiting.timers import first_done, sleep

_EVERY_SECONDS = 60.0
_WAIT_SECONDS = 1.0
_HOLDS_NS = 600 * NANOSECONDS_PER_SECOND
_log = structlog.get_logger()


class EntryBands:
    """Of one login. `listing_of` gives the broker's row of an instrument, None where it lists none."""

    def __init__(
        self, reference: ReferenceData, listing_of: Callable[[int], ListedInstrument | None], *, name: str,
        timers: Timers,
    ) -> None:  # fmt: skip
        self._reference, self._listing_of, self._name, self._timers = reference, listing_of, name, timers
        self._bands: dict[int, tuple[PriceBand | None, int]] = {}  # by instrument, with when it was asked for
        self._asking: dict[int, asyncio.Task[None]] = {}

    async def run(self, wanted: Callable[[], bool]) -> None:
        """Keeps the bands that are used fresh while somebody trades, until it is cancelled."""
        while True:
            await sleep(self._timers, _EVERY_SECONDS)
            if wanted() and self._bands:
                await self._ask(list(self._bands))

    async def problem(self, request: OrderRequest) -> str | None:
        """Why the entry is outside of its instrument's band; None where it is inside, or nobody knows."""
        band = await self._known(request.instrument)
        if band is None or request.price_paise is None:
            return None
        if band.lower_paise <= request.price_paise <= band.upper_paise:
            return None
        return (
            f"price_band: {format_rupees(request.price_paise)} of {request.symbol} is outside {self._name}'s "
            f"{format_rupees(band.lower_paise)} to {format_rupees(band.upper_paise)} of today"
        )

    async def _known(self, instrument: int) -> PriceBand | None:
        known = self._bands.get(instrument)
        if known is None or self._timers.monotonic_ns() - known[1] > _HOLDS_NS:
            task = self._asking.get(instrument)
            if task is None:
                task = self._asking[instrument] = asyncio.create_task(self._ask([instrument]))
                task.add_done_callback(lambda _: self._asking.pop(instrument, None))
            await first_done(self._timers, [task], seconds=_WAIT_SECONDS)
            known = self._bands.get(instrument)
        if known is None or self._timers.monotonic_ns() - known[1] > _HOLDS_NS:
            return None
        return known[0]

    async def _ask(self, instruments: list[int]) -> None:
        listed = [(one, row) for one in instruments if (row := self._listing_of(one)) is not None]
        asked_ns = self._timers.monotonic_ns()
        try:
            found = await self._reference.price_bands([row for _, row in listed]) if listed else {}
        except Exception as error:  # noqa: BLE001 - whatever one broker does, the others go on
            _log.warning("price bands cannot be read", account=self._name, error=str(error))
            for one, _ in listed:  # not by each entry: with the next round
                self._bands.setdefault(one, (None, asked_ns))
            return
        self._bands |= {one: (found.get(place), asked_ns) for place, (one, _) in enumerate(listed)}
