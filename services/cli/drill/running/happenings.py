"""What befalls everybody in a run, besides what strikes one process at a point.

market     a jump
terminal   a stop that somebody cancels or raises there, a position that somebody sells
servers    Postgres away, its answers lost, Redis away, Redis without its data
broker     away, login ended, order streams cut
processes  stopped for a while (SIGSTOP)
people     FLATTEN of a session, KILL
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from services.cli.drill.running.lives import DrillWorld, ServiceLives
from services.cli.drill.running.people import FLATTENED, KILLED, People
from services.cli.drill.running.plan import PlannedEvent
from services.cli.drill.running.terminal import TerminalHands
from services.sandbox.exchange import SandboxExchange
from tradebus.waiting.timers import sleep


class Happenings:
    """Of one run. `away_ns` are the spans in which servers or brokers were away, `paused_ns` those in which a process
    stood still, by its name in all its lives; `counted` by kind."""

    def __init__(
        self, world: DrillWorld, exchange: SandboxExchange, lives: Sequence[ServiceLives], people: People
    ) -> None:
        self._world, self._exchange, self._lives = world, exchange, lives
        self.away_ns: list[list[int]] = []
        self.paused_ns: dict[str, list[list[int]]] = {}
        self.counted: dict[str, int] = {}
        self._at_ns: list[int] = []
        hands = self.hands = TerminalHands(world, exchange, people.parts)
        self._kinds: Mapping[str, Callable[[PlannedEvent], Awaitable[None]]] = {
            "shock": self._shock, "postgres away": self._postgres_away, "answers lost": self._answers_lost,
            "redis away": self._redis_away, "redis lost": self._redis_lost, "broker away": self._broker_away,
            "login ended": self._login_ended, "streams cut": self._streams_cut, "stopped": self._stopped,
            "stop cancelled by hand": hands.cancel_stop, "stop raised by hand": hands.raise_stop,
            "sold by hand": hands.sell,
            FLATTENED: people.flatten, KILLED: people.kill,
        }  # fmt: skip

    @property
    def moments_ns(self) -> list[int]:
        """When each of those happened that do not last, but for what the market does."""
        return self._at_ns

    async def happen(self, event: PlannedEvent) -> None:
        """In its time, from its beginning to its end."""
        await self._pass(event.at_seconds)
        if event.kind not in ("shock", "stopped"):
            self.counted[event.kind] = self.counted.get(event.kind, 0) + 1
            if not event.kind.endswith("away") and event.kind not in (FLATTENED, KILLED):
                self._at_ns.append(self._world.loop.machine.now_ns())
        await self._kinds[event.kind](event)

    async def _shock(self, event: PlannedEvent) -> None:
        self._tell(f"the market moves by {event.share:+.1%}")
        for one in self._exchange.instruments:
            if not one.key.is_derivative:
                self._exchange.shock(one.index, event.share)

    async def _postgres_away(self, event: PlannedEvent) -> None:
        self._world.database.go_away()
        await self._lasts(event, self.away_ns, "Postgres")
        self._world.database.come_back()

    async def _answers_lost(self, event: PlannedEvent) -> None:
        self._tell(f"Postgres makes {event.number} commits and says so to nobody")
        self._world.database.lose_answers(event.number)

    async def _redis_away(self, event: PlannedEvent) -> None:
        self._world.bus.is_away = True
        await self._lasts(event, self.away_ns, "Redis")
        self._world.bus.is_away = False

    async def _redis_lost(self, event: PlannedEvent) -> None:
        self._tell("Redis starts again without its data")
        await self._world.bus.lose_everything()

    async def _broker_away(self, event: PlannedEvent) -> None:
        networks = list(self._world.networks.values())
        network = networks[event.number % len(networks)]
        network.weather.is_out = True
        network.cut_streams()
        await self._lasts(event, self.away_ns, network.name)
        network.weather.is_out = False

    async def _login_ended(self, event: PlannedEvent) -> None:
        networks = list(self._world.networks.values())
        network = networks[event.number % len(networks)]
        network.is_logged_in = False
        network.cut_streams()
        await self._lasts(event, self.away_ns, f"the login at {network.name}")
        network.is_logged_in = True

    async def _streams_cut(self, event: PlannedEvent) -> None:
        self._tell("the order streams are cut")
        for network in self._world.networks.values():
            network.cut_streams()

    async def _stopped(self, event: PlannedEvent) -> None:
        life = self._lives[event.number % len(self._lives)]
        process = life.process
        if process is None:
            return
        self._world.loop.pause(process)
        await self._lasts(event, self.paused_ns.setdefault(life.name, []), process.name)
        self._world.loop.go_on(process)

    async def _lasts(self, event: PlannedEvent, spans: list[list[int]], what: str) -> None:
        """It stands still, or is away, for so long."""
        now_ns = self._world.loop.machine.now_ns
        self._tell(f"{what} is away for {event.seconds:.1f} s")
        spans.append([now_ns()])
        await self._pass(event.seconds)
        spans[-1].append(now_ns())
        self._tell(f"{what} is back")

    async def _pass(self, seconds: float) -> None:
        await sleep(self._world.loop.world.timers, seconds)

    def _tell(self, text: str) -> None:
        self._world.story.tell(text)


def lost_servers(counted: Mapping[str, int]) -> bool:
    """Whether Postgres or Redis was away or lost something, by what was counted."""
    return any(kind.startswith(("postgres", "redis", "answers")) for kind in counted)
