"""What happens in one round of the real drill, drawn from its seed: runs beside each other, and what strikes them all.

A run is a session with an account of its own at one of the faces; what befalls its requests, and a FLATTEN, is its own;
a process or a server that dies, and a KILL, is everybody's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.cli.brokers.sandbox_process import FACES
from services.cli.drill.running.plan import POSITION, SYMBOL, WHOLE
from services.cli.drill.simulation.draws import Draws
from services.sandbox.faults.ports import FaultKind

TRADING_SECONDS = 12.0
NAMES = ("future", "share", "call", "put")
INSTANCES = ("1", "2")
KILLED, STOPPED, POSTGRES, REDIS = "killed", "stopped", "Postgres crashes", "Redis crashes"
KILL_SWITCH = "kill switch"
_SHORT, _FLATTENED, _KILL = 0.35, 0.3, 0.3
_OF_REQUESTS = (
    FaultKind.DROP, FaultKind.DELAY, FaultKind.ACCEPT_THEN_DROP, FaultKind.SERVER_ERROR, FaultKind.ACCEPT_THEN_ERROR,
    FaultKind.HTML, FaultKind.EMPTY, FaultKind.TRUNCATED, FaultKind.TOO_MANY,
)  # fmt: skip
_OF_FRAMES = (FaultKind.DISCONNECT, FaultKind.DUPLICATE, FaultKind.SHUFFLE_UPDATES)
_REQUESTS = ("POST *", "PUT *", "DELETE *", "GET *")


@dataclass(frozen=True, slots=True)
class RealTrade:
    """Seconds are of the round. `name` is of the stack's instruments; `exit_after` None: whoever stops the session
    closes it."""

    name: str
    lots: int
    is_long: bool
    at_seconds: float
    exit_after: float | None
    stop_share: float


@dataclass(frozen=True, slots=True)
class RealFlatten:
    """Of the session, or of it what its first position is."""

    at_seconds: float
    scope: str


@dataclass(frozen=True, slots=True)
class RealRun:
    """`face` is the broker; `faults` are rules as the sandbox takes them, but for the account."""

    seed: int
    face: str
    trades: Sequence[RealTrade]
    faults: Sequence[Mapping[str, object]]
    flatten: RealFlatten | None

    @property
    def session(self) -> str:
        return f"drill-{self.seed}"

    @property
    def account(self) -> str:
        return f"D{self.seed}"


@dataclass(frozen=True, slots=True)
class RealStrike:
    """What dies, or stands still for `seconds`. `number` is of the instance."""

    kind: str
    at_seconds: float
    seconds: float
    number: int


@dataclass(frozen=True, slots=True)
class RealRound:
    """Runs that share their processes and servers. `kill_seconds` is when everything is killed, 0 where it is not."""

    runs: Sequence[RealRun]
    strikes: Sequence[RealStrike]
    kill_seconds: float = 0.0


def round_of(seeds: Sequence[int]) -> RealRound:
    """The round of these seeds."""
    draws = Draws(seeds[0], "real round")
    strikes = [
        RealStrike(KILLED, draws.between(1.0, TRADING_SECONDS), draws.between(0.0, 2.0), draws.below(len(INSTANCES)))
        for _ in range(1 + draws.below(3))
    ]
    if draws.chance(0.3):
        seconds = draws.between(2.0, 20.0)
        strikes.append(RealStrike(STOPPED, draws.between(1.0, TRADING_SECONDS), seconds, draws.below(len(INSTANCES))))
    if draws.chance(0.3):
        strikes.append(RealStrike(draws.one_of((POSTGRES, REDIS)), draws.between(1.0, TRADING_SECONDS), 0.0, 0))
    kill_seconds = draws.between(6.0, TRADING_SECONDS) if draws.chance(_KILL) else 0.0
    runs = [_run(seed) for seed in seeds]
    return RealRound(runs, sorted(strikes, key=lambda one: one.at_seconds), kill_seconds)


def _run(seed: int) -> RealRun:
    draws = Draws(seed, "real run")
    trades = [
        RealTrade(
            draws.one_of(NAMES), 1 + draws.below(3), not draws.chance(_SHORT), draws.between(0.5, 7.0),
            draws.between(0.5, 5.0) if draws.chance(0.6) else None, draws.between(0.002, 0.02),
        )
        for _ in range(1 + draws.below(3))
    ]  # fmt: skip
    face, faults, flatten = draws.one_of(FACES), [_fault(draws, seed) for _ in range(draws.below(3))], None
    if draws.chance(_FLATTENED):
        flatten = RealFlatten(draws.between(3.0, TRADING_SECONDS - 1), draws.one_of((WHOLE, SYMBOL, POSITION)))
    return RealRun(seed, face, trades, faults, flatten)


def _fault(draws: Draws, seed: int) -> dict[str, object]:
    """Strikes once, or a share of the frames of the order stream."""
    if draws.chance(0.25):
        return {"kind": draws.one_of(_OF_FRAMES).value, "endpoint": "orders", "probability": 0.2, "seed": seed}
    return {
        "kind": draws.one_of(_OF_REQUESTS).value, "endpoint": draws.one_of(_REQUESTS), "skip": draws.below(3),
        "count": 1, "seconds": draws.between(1.0, 12.0),
    }  # fmt: skip
