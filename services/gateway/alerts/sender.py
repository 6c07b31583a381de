"""Tells each sink of every alert, each by a task of its own: one that hangs or refuses holds up itself alone.

    events in the book ─► what the sink was not told of ─► tell ─┬─► taken: told, in the book
                                                                 └─► not: again, ever later, up to five minutes

Once: what a sink has taken is written down, and outlives restarts. Where the gateway dies between the two it is told
twice rather than never; `alerts` of a webhook carry the event's id.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from services.gateway.alerts.book import AlertBook
from services.gateway.alerts.sinks import AlertSink, NotTold, OpenSink
from services.gateway.alerts.stored import AlertSinkConfig, AlertSinks
from services.gateway.alerts.wording import together
from tradebus.contracts.base import Message
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import Timers
from tradebus.runtime.patience import PASSING, back_off_seconds, patiently, repeatedly
from tradebus.waiting.timers import deadline, sleep

LOOK_SECONDS = 1.0
SINKS_SECONDS = 5.0
TELL_SECONDS = 20.0
FIRST_SECONDS, LAST_SECONDS = 2.0, 300.0
TOGETHER_MAX = 10
_log = structlog.get_logger()


class AlertMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.told = Counter(
            "tradebus_gateway_alerts_told_total", "Alerts that a sink has taken", ["sink"], registry=registry
        )
        self.failing = Gauge(
            "tradebus_gateway_alert_sink_failures", "Attempts in a row that a sink did not take", ["sink"],
            registry=registry,
        )  # fmt: skip


@dataclass(slots=True)
class _Served:
    """A sink that is told. `is_telling`: it has the word, and may keep it."""

    stop: asyncio.Event
    is_telling: bool = False
    task: asyncio.Task[None] | None = None


class AlertSender:
    """A component. Takes up sinks that are added, changed or removed while it runs."""

    def __init__(
        self, sinks: AlertSinks, book: AlertBook, *, instance: str, open_sink: OpenSink, timers: Timers,
        registry: CollectorRegistry,
    ) -> None:  # fmt: skip
        self._sinks, self._book, self._instance, self._open_sink = sinks, book, instance, open_sink
        self._timers, self._metrics = timers, AlertMetrics(registry)
        self._serving: dict[str, _Served] = {}

    async def run(self, stop: asyncio.Event) -> None:
        try:
            await repeatedly(
                self.look, stop, timers=self._timers, every_seconds=SINKS_SECONDS, what="looking at the alert sinks"
            )
        finally:
            await self._end(list(self._serving))

    async def look(self) -> None:
        """Serves the sinks that are stored now, and no others."""
        stored = {one.key: one for one in await asyncio.to_thread(self._stored)}
        await self._end([key for key in self._serving if key not in stored])
        for key, config in stored.items():
            if key not in self._serving:
                served = self._serving[key] = _Served(asyncio.Event())
                served.task = asyncio.create_task(self._serve(config, served))

    def _stored(self) -> list[AlertSinkConfig]:
        found = []
        for name in self._sinks.names():
            try:
                found.append(self._sinks.get(name))
            except InvalidInput as error:
                _log.error("an alert sink cannot be opened: it is told nothing", sink=name, problem=str(error))
        return found

    async def _end(self, keys: Sequence[str]) -> None:
        """What a sink has taken is written down first; one that hangs is not waited for."""
        ended = [self._serving.pop(key) for key in keys]
        for one in ended:
            one.stop.set()
            if one.is_telling and one.task is not None:
                one.task.cancel()
        await asyncio.gather(*(one.task for one in ended if one.task is not None), return_exceptions=True)

    async def _serve(self, config: AlertSinkConfig, served: _Served) -> None:
        stop = served.stop
        sink, failures = self._open_sink(config), 0
        _log.info("alerts are told", sink=config.name, kind=config.kind)
        try:
            while not stop.is_set():
                pending = await patiently(
                    lambda: self._book.pending(
                        config.key, instance=self._instance, now_ns=self._timers.now_ns(), most=TOGETHER_MAX
                    ),
                    stop, timers=self._timers, what="looking for alerts",
                )  # fmt: skip
                if not pending:
                    await sleep(self._timers, LOOK_SECONDS, unless=stop)
                    continue
                served.is_telling = True
                taken = await self._tell(config, sink, pending)
                served.is_telling = False
                failures = 0 if taken else failures + 1
                self._metrics.failing.labels(config.name).set(failures)
                if taken:
                    await self._told(config, pending, stop)
                else:
                    pause = back_off_seconds(failures, first=FIRST_SECONDS, last=LAST_SECONDS)
                    await sleep(self._timers, pause, unless=stop)
        finally:
            await sink.close()

    async def _tell(self, config: AlertSinkConfig, sink: AlertSink, alerts: Sequence[Message]) -> bool:
        problem = f"no answer in {TELL_SECONDS:g} s"
        try:
            async with deadline(self._timers, TELL_SECONDS):
                await sink.tell(together(alerts), [one.public() for one in alerts])
        except NotTold as error:
            problem = str(error)
        except TimeoutError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever one sink does; its text may hold the address
            problem = f"failed ({type(error).__name__})"
        else:
            return True
        _log.error("an alert sink did not take it, again later", sink=config.name, kind=config.kind, problem=problem)
        return False

    async def _told(self, config: AlertSinkConfig, alerts: Sequence[Message], stop: asyncio.Event) -> None:
        self._metrics.told.labels(config.name).inc(len(alerts))
        ids = [one.event_id for one in alerts]

        async def keep() -> None:
            await self._book.told(config.key, ids, now_ns=self._timers.now_ns())

        try:
            await keep()  # once at least, though it be the last that is done
        except PASSING:
            await patiently(keep, stop, timers=self._timers, what="keeping what was told")
