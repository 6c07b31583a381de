"""What happens in a week, drawn from its seed: who trades where and when, and which nights the services stay up.

1 December is an expiry; from the 7th other hours and another closing auction hold; 8 December is an expiry under them,
which ends before its class does.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from services.cli.drill.running.plan import BROKERS
from services.cli.drill.simulation.draws import Draws
from tradebus.calendar import is_trading_day
from tradebus.contracts.signals import Side

FIRST, LAST = date(2026, 12, 1), date(2026, 12, 8)
USERS = 20
MORNING, EVENING = time(8, 50), time(16, 5)  # the services begin; the books are compared
# Market seconds in one of the services' seconds: of the day, and of the hour in which everything is closed. The broker
# closes what is left five minutes after us, and a request that was lost is certain not to have arrived after half a
# minute. The services begin again in between, with what they hold.
FAST, SLOW = 45, 8
CLOSING, CLOSED = time(14, 55), time(15, 46)
LOGIN = time(9, 0)  # yesterday's tokens have ended
_STARTS, _STOPS = ("09:16", "09:20", "09:45", "11:00"), ("14:30", "15:05", "15:20", "15:50")
_LAST_ENTRY = time(15, 15)
_READY_MINUTES = 20  # from the services' beginning to the first schedule
_HARD_ENDS = (None, None, "14:45", "15:10")  # None: as the market's own rules say
_KINDS = ("future", "bank future", "call", "call", "put", "put", "share", "share")
# How far a stop lies from the price; an option moves many times as far as what it is on.
_STOP_SHARES = {"future": (0.001, 0.006), "option": (0.1, 0.4), "share": (0.002, 0.01)}


@dataclass(frozen=True, slots=True)
class WeekUser:
    """`start` and `stop` are his schedule's, `hard_end` his own limit (None: the market's), all Indian times."""

    name: str
    broker: str
    start: str
    stop: str
    hard_end: str | None

    @property
    def account(self) -> str:
        """As the exchange calls it."""
        return f"{self.broker.upper()}-{self.name}"

    def command_id(self, day: date) -> str:
        """Of the START that his schedule sends on that day."""
        return f"schedule.{self.name}.{day.isoformat()}"


@dataclass(frozen=True, slots=True)
class WeekTrade:
    """What a user's strategy asks for. `kind` is future, bank future, call, put or share; `exit_after` in minutes of
    the market, None where risk, the schedule or the stop ends it."""

    number: int
    user: str
    day: date
    at: time
    kind: str
    side: Side
    stop_share: float
    exit_after: float | None


@dataclass(frozen=True, slots=True)
class WeekPlan:
    """`begins` is when the services do, in the morning. `fault_share` how many requests, and words of the
    order streams, meet a fault; `awake` the day after which the services go on through the night; they end in the
    evening of every other one."""

    seed: int
    days: tuple[date, ...]
    users: tuple[WeekUser, ...]
    trades: tuple[WeekTrade, ...]
    awake: date | None
    begins: time = MORNING
    fault_share: float = 0.02

    def schedules(self) -> str:
        """The file of TRADEBUS_SCHEDULES."""
        return json.dumps([_schedule(one) for one in self.users])


def days_between(first: date, last: date) -> tuple[date, ...]:
    """The days of trading, both ends included."""
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return tuple(day for day in days if is_trading_day(day))


def week_plan(
    seed: int, *, days: Sequence[date] | None = None, users: int = USERS, begins: time = MORNING, nights: bool = True
) -> WeekPlan:
    """The week of a seed, or some days of one, or their last hours. Without `nights` the services end every evening."""
    draws, found = Draws(seed, "week"), tuple(days or days_between(FIRST, LAST))
    people = tuple(_user(draws, number, begins) for number in range(users))
    trades: list[WeekTrade] = []
    for day in found:
        for user in people:
            first = len(trades)
            trades += [_trade(draws, first + number, user, day, begins) for number in range(4 + draws.below(5))]
    single = [day for day, after in pairwise(found) if nights and after - day == timedelta(days=1)]
    return WeekPlan(seed, found, people, tuple(trades), draws.one_of(single) if single else None, begins)


def _user(draws: Draws, number: int, begins: time) -> WeekUser:
    ready = _after(begins, _READY_MINUTES).strftime("%H:%M")
    return WeekUser(
        f"u{number + 1:02}", BROKERS[number % len(BROKERS)], max(ready, draws.one_of(_STARTS)),
        draws.one_of(_STOPS), draws.one_of(_HARD_ENDS),
    )  # fmt: skip


def _trade(draws: Draws, number: int, user: WeekUser, day: date, begins: time) -> WeekTrade:
    kind = draws.one_of(_KINDS)
    stop = _STOP_SHARES["option" if kind in ("call", "put") else "future" if "future" in kind else kind]
    first = max(time(9, 18), _after(begins, 2 * _READY_MINUTES))
    minutes = _LAST_ENTRY.hour * 60 + _LAST_ENTRY.minute - first.hour * 60 - first.minute
    return WeekTrade(
        number, user.name, day, _after(first, draws.below(minutes)).replace(second=draws.below(60)), kind,
        draws.one_of((Side.LONG, Side.SHORT)), draws.between(*stop),
        draws.between(1.0, 90.0) if draws.chance(0.4) else None,
    )  # fmt: skip


def _after(at: time, minutes: int) -> time:
    return (datetime.combine(FIRST, at) + timedelta(minutes=minutes)).time()


def _schedule(user: WeekUser) -> dict[str, object]:
    limits: dict[str, object] = {
        "daily_max_loss_r": 500, "daily_max_loss_pct": 90, "max_concurrent_trades": 5, "cooldown_seconds": 60,
        "consecutive_losses_limit": 20, "max_trades_per_symbol_per_day": 20,
        "order_timeout_seconds": 240,
    }  # fmt: skip
    if user.hard_end is not None:
        limits["hard_trading_end"] = user.hard_end
    return {
        "name": user.name, "user_id": user.name, "start": user.start, "stop": user.stop,
        "data": {
            "mode": "live", "broker": user.broker, "credential": user.name, "strategies": ["orb"],
            "symbols": ["NIFTY 50", "NIFTY BANK", "INFY"], "capital": 5_000_000, "limits": limits,
            "sizing": {"mode": "fixed_lots", "lots": 1},
        },
    }  # fmt: skip
