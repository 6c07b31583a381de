"""START_TRADING's data → the session it asks for, or every field that is wrong.

Invariants (property-tested): any tree of JSON values gives a request or at least one problem, and no exception; the
access token is in neither; an amount is exact to the paisa or refused; paper is never put in place of another mode.
What it says of brokers is read in `brokers`.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.gateway.domain import brokers
from services.gateway.domain.brokers import Reach, read_protection, read_route
from services.gateway.domain.limits import (
    check_times,
    read_held,
    read_limits,
    read_paper,
    read_sizing,
    read_trailing,
)
from services.gateway.domain.problems import Problems, child, kind_of
from services.gateway.domain.trading_days import read_start_schedule
from services.gateway.domain.values import money_paise, plain
from tradebus.contracts.instruments import InstrumentMaster
from tradebus.contracts.sessions import Mode, RiskLimits, ScopeLimits, SessionSpec, StrategySpec
from tradebus.contracts.signals import MANUAL, PROGRAMS
from tradebus.kernel.errors import nearest
from tradebus.risk.rules.holders import LimitHolder

MAX_SYMBOLS = 200
MAX_STRATEGIES = 16
MAX_NAME = 64
APPROVAL_MIN, APPROVAL_MAX = 5, 3_600
_SYMBOLS_SHOWN = 10
_LIKENESS = 0.7  # NIFTI for NIFTY, not SENSEX for NSEI
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FIELDS = (
    *brokers.FIELDS, "strategies", "symbols", "underlyings", "capital", "limits", "risk_limits", "paper", "sizing",
    "approval_seconds", "trailing", "schedule",
)  # fmt: skip

_NOWHERE = Reach()


@dataclass(frozen=True, slots=True)
class StartCatalogue:
    """What a session may name. `market_day` is the day that the feed in force is at, None where none has begun: what
    expired before it cannot be named. `daily_max_loss_r` is the desk's own (DAILY_MAX_LOSS_R): a live session that says
    none has it, and none may say more."""

    instruments: InstrumentMaster
    reach: Reach = _NOWHERE
    market_day: date | None = None
    daily_max_loss_r: float | None = None
    paced: bool = False  # recorded time, in which nobody from outside has a place


def read_start(
    data: dict[str, Any], *, user_id: str, catalogue: StartCatalogue, problems: Problems
) -> SessionSpec | None:
    """The spec that `data` asks for, with an empty `session_id`; None after adding to `problems`."""
    at = "data"
    problems.unknown_keys(at, data, _FIELDS)
    route = read_route(data, user_id=user_id, reach=catalogue.reach, problems=problems)
    protection = read_protection(data.get("protection"), route, reach=catalogue.reach, problems=problems)
    strategies = _strategies(data, problems)
    symbols = _symbols(data, catalogue, problems)
    capital = money_paise(data.get("capital"), at="data.capital", problems=problems, required=True)
    limits = read_limits(data, problems)
    paper = read_paper(data.get("paper"), problems)
    sizing = read_sizing(data.get("sizing"), "data.sizing", problems)
    approval_seconds = _approval_seconds(data.get("approval_seconds"), catalogue, problems)
    trailing = read_trailing(data.get("trailing"), "data.trailing", problems)
    underlyings = [catalogue.instruments.find(symbol).underlying for symbol in symbols]
    schedule = read_start_schedule(
        data.get("schedule"), underlyings, market_day=catalogue.market_day, problems=problems
    )  # fmt: skip
    if limits is not None and route.mode in (Mode.LIVE, Mode.DRY_RUN):
        limits = _of_live(limits, catalogue.daily_max_loss_r, problems)
    if problems or capital is None or limits is None or paper is None:
        return None
    return SessionSpec(
        session_id="", user_id=user_id, mode=route.mode, broker=route.broker, data_broker=route.data_broker,
        credential=route.credential, symbols=symbols, strategies=tuple(strategies.values()), capital_paise=capital,
        limits=limits, paper=paper, sizing=sizing, approval_seconds=approval_seconds, trailing=trailing,
        protection=protection, schedule=schedule,
    )  # fmt: skip


def _approval_seconds(value: Any, catalogue: StartCatalogue, problems: Problems) -> int | None:
    """How long an entry waits for a person; None where it waits for nobody."""
    if value is None:
        return None
    at = "data.approval_seconds"
    if isinstance(value, bool) or not isinstance(value, int) or not APPROVAL_MIN <= value <= APPROVAL_MAX:
        problems.add(at, f"must be {APPROVAL_MIN} to {APPROVAL_MAX:,}: so long an entry waits for a person's yes")
    elif catalogue.paced:
        problems.add(at, "a run over recorded time waits for nobody: leave it out")
    else:
        return value
    return None


def _of_live(limits: RiskLimits, desk_r: float | None, problems: Problems) -> RiskLimits:
    """Real money never trades without a day's last line in R (SPEC 9)."""
    at, own = "data.limits.daily_max_loss_r", limits.daily_max_loss_r
    if own is None and desk_r is None:
        problems.add(
            at, 'is missing: mode "live" needs it (3: the day ends at a loss of three times what one trade may risk); '
            "DAILY_MAX_LOSS_R in the gateway's environment sets it for every live session",
        )  # fmt: skip
    elif own is None:
        return limits.model_copy(update={"daily_max_loss_r": desk_r})
    elif desk_r is not None and own > desk_r:
        problems.add(at, f"must be at most {desk_r:g}, as DAILY_MAX_LOSS_R in the gateway's environment says")
    return limits


def strategies_in(data: dict[str, Any]) -> list[tuple[str, StrategySpec]]:
    """The strategies of `data` that are specs, with their places; what is wrong with others says `read_start`."""
    return list(_strategies(data, Problems()).items())


def _strategies(data: dict[str, Any], problems: Problems) -> dict[str, StrategySpec]:
    """By place."""
    items = _items(data, "strategies", MAX_STRATEGIES, problems)
    if "strategies" not in data:
        problems.add("data.strategies", "is missing: a list of names or of {name, parameters}")
    found: dict[str, StrategySpec] = {}
    for at, item in items:
        spec = _strategy(item, at, problems)
        if spec is None:
            continue
        if spec.name in {other.name for other in found.values()}:
            problems.add(at, "names a strategy a second time; one session runs a strategy once")
        found[at] = spec
    return found


def _strategy(item: Any, at: str, problems: Problems) -> StrategySpec | None:
    if isinstance(item, str):
        item = {"name": item}
    if not isinstance(item, dict):
        problems.add(at, f"must be a name or an object, not {kind_of(item)}")
        return None
    before = len(problems.errors)
    problems.unknown_keys(at, item, ("name", "parameters", "path", "limits", "sizing", "budget", "trailing"))
    name, parameters, path = item.get("name"), item.get("parameters", {}), item.get("path")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problems.add(f"{at}.name", "must be a strategy's name: 1 to 64 letters, digits or . _ -")
    elif name == MANUAL or name.startswith(PROGRAMS):
        problems.add(f"{at}.name", f"{MANUAL} and {PROGRAMS}… are the names of what people and programs ask for")
    if not isinstance(parameters, dict):
        problems.add(f"{at}.parameters", f"must be an object, not {kind_of(parameters)}")
    else:
        problems.secret_keys(f"{at}.parameters", parameters)
    if path is not None and (not isinstance(path, str) or not path):
        problems.add(f"{at}.path", "must be the path of a Python file")
    given = item.get("limits")
    limits = None
    if given is not None:
        limits = read_held(ScopeLimits, given, f"{at}.limits", LimitHolder.STRATEGY, problems)
    if limits is not None:
        check_times(limits, f"{at}.limits", problems)
    sizing = read_sizing(item.get("sizing"), f"{at}.sizing", problems)
    trailing = read_trailing(item.get("trailing"), f"{at}.trailing", problems)
    budget = money_paise(item.get("budget"), at=f"{at}.budget", problems=problems)
    if len(problems.errors) > before:
        return None
    return StrategySpec(
        name=str(name), parameters=plain(parameters), path=path, limits=limits, sizing=sizing, budget_paise=budget,
        trailing=trailing,
    )  # fmt: skip


def _symbols(data: dict[str, Any], catalogue: StartCatalogue, problems: Problems) -> tuple[str, ...]:
    """Canonical symbols, each once: two names of one instrument are one symbol."""
    if "symbols" not in data and "underlyings" not in data:
        problems.add("data.symbols", "is missing: a list of symbols")
    items = [*_items(data, "symbols", MAX_SYMBOLS, problems), *_items(data, "underlyings", MAX_SYMBOLS, problems)]
    found: dict[str, None] = {}
    for at, item in items:
        if not isinstance(item, str):
            problems.add(at, f"must be text, not {kind_of(item)}")
        else:
            if item[:MAX_NAME] not in catalogue.instruments:
                problems.add(at, _unknown(item[:MAX_NAME], catalogue.instruments))
                continue
            instrument = catalogue.instruments.find(item[:MAX_NAME])
            expiry, day = instrument.expiry, catalogue.market_day
            if expiry is not None and day is not None and expiry < day:
                problems.add(at, f"{instrument.symbol} expired on {expiry}, it is {day}: name a contract that trades")
            else:
                found[instrument.symbol] = None
    return tuple(found)


def _unknown(symbol: str, followed: InstrumentMaster) -> str:
    """What is wrong with a symbol nobody registered; it is not repeated. Underlyings are shown before contracts."""
    names = [one.symbol for one in sorted(followed, key=lambda one: one.expiry is not None)]
    more = ", …" if len(names) > _SYMBOLS_SHOWN else ""
    shown = ", ".join(names[:_SYMBOLS_SHOWN]) or "nothing yet"
    near = nearest(symbol, followed.names(), likeness=_LIKENESS)
    return f"unknown symbol{near}: the feed does not follow it; it follows {len(names)}: {shown}{more}"


def _items(data: dict[str, Any], name: str, limit: int, problems: Problems) -> list[tuple[str, Any]]:
    """The items of a list field with their paths; [] where the field is absent or no list of 1 to `limit` items."""
    at = child("data", name)
    value = data.get(name, [])
    if not isinstance(value, list):
        problems.add(at, f"must be a list, not {kind_of(value)}")
    elif name in data and not value:
        problems.add(at, "must not be empty")
    elif len(value) > limit:
        problems.add(at, f"has {len(value)} items; at most {limit}")
    else:
        return [(f"{at}[{index}]", item) for index, item in enumerate(value)]
    return []
