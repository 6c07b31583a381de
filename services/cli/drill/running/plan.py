"""What happens in one run, drawn from its seed: who trades what, what is killed where, what goes wrong when."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time

from services.cli.drill.exchange.faults import Mishap, NetworkFault, StreamFault
from services.cli.drill.exchange.market import DAY
from services.cli.drill.simulation.draws import Draws
from services.cli.drill.simulation.points import (
    ACKNOWLEDGING,
    ANSWERED,
    ASKING,
    COMMITTED,
    COMMITTING,
    PUBLISHING,
    Strike,
)
from tradebus.contracts.sessions import Trailing

BROKERS = ("kite", "dhan", "upstox")
EXECUTION, SECOND = "execution-1", "execution-2"
WHOLE, SYMBOL, POSITION = "whole", "symbol", "position"
TRADING_SECONDS = 20.0
# How often a process comes to a point in a run, roughly: strikes are drawn below it.
_VISITS = {COMMITTING: 60, COMMITTED: 60, ASKING: 40, ANSWERED: 40, PUBLISHING: 20, ACKNOWLEDGING: 12}
_STOPPED_SECONDS = 70.0
MORNING = time(9, 16)
# The market opens while they trade; continuous trading of shares ends: their stops do, and futures get a new range.
_AUCTIONS = (time(9, 14, 53), time(15, 14, 40), time(15, 14, 48), time(15, 14, 54))
_AT_AN_AUCTION = 0.02
_AUCTION_SECONDS = 1_500.0  # what was caught in the closing auction is matched at its end
_JUMPS = (0.004, 0.004, 0.015)  # the larger: options fall through their price protection
_SIZES = (1, 1, 1, 6)  # the larger fill in parts, over seconds
_SHORT = 0.35
_ABOVE_FREEZE = 0.06  # of what is traded in lots: entry and exits go in slices
_SETS_OF_LEGS = 0.15
_TRAILED = 0.3  # of sessions
_FREEZE_LOTS = 28  # more than the freeze quantity of an index's contracts
# How long what befalls everybody may last.
_LONGEST_SECONDS = {
    "postgres away": 6.0, "answers lost": 1.0, "redis away": 8.0, "redis lost": 1.0, "broker away": 12.0,
    "login ended": 12.0, "streams cut": 1.0, "stopped": _STOPPED_SECONDS,
    "stop cancelled by hand": 1.0, "stop raised by hand": 1.0, "sold by hand": 1.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlannedTrade:
    """Seconds are of the run. `exit_after` None: whoever stops the session closes it."""

    number: int
    session: str
    name: str  # of the instrument: its place in the drill's market
    lots: int
    is_long: bool
    at_seconds: float
    exit_after: float | None
    stop_share: float
    set_name: str | None = None  # of legs that are entered, and left, together


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """Something that befalls everybody. `seconds` is how long it lasts, `share` how far prices go, `scope` of what a
    FLATTEN is: a session, or of it what its first position is."""

    kind: str
    at_seconds: float
    seconds: float = 0.0
    share: float = 0.0
    number: int = 0
    scope: str = WHOLE


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """Sessions by name, each with its broker; `trailing` by session, where its stops trail."""

    seed: int
    start: datetime
    sessions: Mapping[str, str]
    trades: tuple[PlannedTrade, ...]
    strikes: tuple[Strike, ...]
    events: tuple[PlannedEvent, ...]
    rates: Mapping[NetworkFault, float]
    stream_rates: Mapping[StreamFault, float]
    mishaps: tuple[Mishap, ...] = ()
    restart_seconds: tuple[float, float] = (0.2, 3.0)
    processes: tuple[str, ...] = (EXECUTION,)
    trailing: Mapping[str, Trailing] = field(default_factory=dict)
    end_seconds: float = 240.0  # after the calm: until everything must be over


def plan_of(seed: int) -> DrillPlan:
    """The run of a seed."""
    draws = Draws(seed, "plan")
    sessions = {f"s{number + 1}": draws.one_of(BROKERS) for number in range(1 + draws.below(3))}
    trades = tuple(_trade(draws, seed, number, list(sessions)) for number in range(1 + draws.below(4)))
    trades += _set_of_legs(seed, len(trades), list(sessions))
    processes = (EXECUTION, SECOND) if draws.chance(0.3) else (EXECUTION,)
    strikes = [_strike(draws, processes) for _ in range(draws.below(4))]
    if len(processes) > 1 and draws.chance(0.4):
        strikes.append(_pause(draws, processes))
    events = [
        PlannedEvent("shock", draws.between(4, TRADING_SECONDS), share=draws.one_of(_JUMPS) * draws.between(-1, 1))
        for _ in range(draws.below(3))
    ]
    if draws.chance(0.5):
        events += [_event(draws) for _ in range(1 + draws.below(2))]
    scale = draws.one_of((0.0, 0.0, 0.01, 0.03, 0.1))
    people = Draws(seed, "people")
    if people.chance(0.2):
        kind = people.one_of(("session flattened", "session flattened", "kill switch"))
        at_seconds, number = people.between(3.0, TRADING_SECONDS - 2), people.below(3)
        events.append(PlannedEvent(kind, at_seconds, number=number, scope=people.one_of((WHOLE, SYMBOL, POSITION))))
    mishaps = tuple(_mishap(draws) for _ in range(draws.below(3))) if not scale else ()
    hour = Draws(seed, "hour")
    begins = hour.one_of(_AUCTIONS) if hour.chance(_AT_AN_AUCTION) else MORNING
    return DrillPlan(
        seed, datetime.combine(DAY, begins), sessions, trades, tuple(strikes), tuple(events), mishaps=mishaps,
        processes=processes, trailing=_trailing(seed, list(sessions)),
        end_seconds=_AUCTION_SECONDS if begins.hour == 15 else 240.0,
        rates={fault: scale for fault in NetworkFault if draws.chance(0.5)},
        stream_rates={fault: scale * 3 for fault in StreamFault if draws.chance(0.5)},
    )  # fmt: skip


def _trade(draws: Draws, seed: int, number: int, sessions: list[str]) -> PlannedTrade:
    trade = PlannedTrade(
        number=number, session=draws.one_of(sessions), name=draws.one_of(("future", "call", "put", "share")),
        lots=(1 + draws.below(3)) * draws.one_of(_SIZES), is_long=True, at_seconds=draws.between(1.0, 10.0),
        exit_after=draws.between(1.0, 10.0) if draws.chance(0.6) else None, stop_share=draws.between(0.002, 0.02),
    )  # fmt: skip
    sides = Draws(seed, "sides", number)
    lots = trade.lots
    if trade.name != "share" and sides.chance(_ABOVE_FREEZE):
        lots = _FREEZE_LOTS + sides.below(2 * _FREEZE_LOTS)
    return replace(trade, is_long=not sides.chance(_SHORT), lots=lots)


def _set_of_legs(seed: int, number: int, sessions: list[str]) -> tuple[PlannedTrade, ...]:
    """Two options, now and then: both sold, both bought, or one against the other."""
    draws = Draws(seed, "legs")
    if not draws.chance(_SETS_OF_LEGS):
        return ()
    at_seconds, lots, session = draws.between(1.0, 10.0), 1 + draws.below(3), draws.one_of(sessions)
    exit_after = draws.between(1.0, 10.0) if draws.chance(0.6) else None
    return tuple(
        PlannedTrade(
            number=number + place, session=session, name=name, lots=lots, is_long=draws.chance(0.5),
            at_seconds=at_seconds, exit_after=exit_after, stop_share=draws.between(0.002, 0.02), set_name="legs",
        )
        for place, name in enumerate(("call", "put"))
    )  # fmt: skip


def _trailing(seed: int, sessions: list[str]) -> dict[str, Trailing]:
    draws = Draws(seed, "trailing")
    return {
        session: Trailing(
            distance_r=draws.between(0.3, 1.0), step_pct=draws.between(1.0, 25.0),
            after_r=0.2 if draws.chance(0.3) else 0.0,
        )
        for session in sessions
        if draws.chance(_TRAILED)
    }  # fmt: skip


def _event(draws: Draws) -> PlannedEvent:
    kind = draws.one_of(tuple(_LONGEST_SECONDS))
    return PlannedEvent(
        kind, draws.between(0.5, TRADING_SECONDS - 2), seconds=draws.between(0.3, _LONGEST_SECONDS[kind]),
        number=1 + draws.below(4),
    )  # fmt: skip


def _mishap(draws: Draws) -> Mishap:
    return Mishap(
        words=draws.one_of(("(ENTRY", "(STOP", "(EXIT", "change order", "cancel order", "orders", "trades")),
        fault=draws.one_of(tuple(NetworkFault)), number=1 + draws.below(3), seconds=draws.between(1.0, 19.0),
    )  # fmt: skip


def _pause(draws: Draws, processes: tuple[str, ...]) -> Strike:
    """A process stands still with a request in its hand for as long as another needs to take its trades over."""
    return Strike(
        draws.one_of(processes), ASKING, 1, words=draws.one_of(("(ENTRY", "(STOP", "(EXIT")),
        stopped_seconds=draws.between(20.0, _STOPPED_SECONDS),
    )  # fmt: skip


def _strike(draws: Draws, processes: tuple[str, ...]) -> Strike:
    point = draws.one_of(tuple(_VISITS))
    stopped = draws.between(0.5, _STOPPED_SECONDS) if draws.chance(0.25) else 0.0
    return Strike(draws.one_of(processes), point, 1 + draws.below(_VISITS[point]), stopped_seconds=stopped)
