"""START_TRADING's data → the session it asks for, or every field that is wrong.

Invariants (property-tested): any tree of JSON values gives a request or at least one problem, and no exception; the
access token is in neither; an amount is exact to the paisa or refused; paper is never put in place of another mode.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from services.gateway.domain.limits import read_limits, read_paper
from services.gateway.domain.problems import Problems, child, kind_of
from services.gateway.domain.values import money_paise, plain
from tradebus.contracts.instruments import InstrumentMaster
from tradebus.contracts.sessions import FieldError, Mode, SessionSpec, StrategySpec
from tradebus.kernel.errors import InvalidInput, nearest

MAX_SYMBOLS = 200
MAX_STRATEGIES = 16
MAX_NAME = 64
BROKERS = ("paper",)
LATER_BROKERS = ("kite", "dhan", "upstox")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FIELDS = (
    "broker", "access_token", "credential", "mode", "strategies", "symbols", "underlyings", "capital", "limits",
    "risk_limits", "paper",
)  # fmt: skip
_MISSING_FOR_MODE = {
    Mode.LIVE: "live trading needs a broker's order gateway and its preflight checks, and this version has neither; "
    'nothing was started (ask for "paper" to trade on simulated fills)',
    Mode.DRY_RUN: "a dry run needs a broker's order gateway, and this version has none; nothing was started",
    Mode.REPLAY: "a replay needs a recorded day, and this version records none; nothing was started",
    Mode.BACKTEST: "a backtest is run by `tradebus trade --history`, not by a command; nothing was started",
}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a session may name. `check_strategy` gives the errors of one strategy, with fields relative to it (`name`,
    `parameters.length`)."""

    instruments: InstrumentMaster
    check_strategy: Callable[[StrategySpec], Collection[FieldError]]


def read_start(data: dict[str, Any], *, user_id: str, catalogue: Catalogue, problems: Problems) -> SessionSpec | None:
    """The spec that `data` asks for, with an empty `session_id`; None after adding to `problems`."""
    at = "data"
    problems.unknown_keys(at, data, _FIELDS)
    broker = _broker(data, problems)
    credential = _credential(data, problems)
    mode = _mode(data, problems)
    strategies = _strategies(data, catalogue, problems)
    symbols = _symbols(data, catalogue, problems)
    capital = money_paise(data.get("capital"), at="data.capital", problems=problems, required=True)
    limits = read_limits(data, problems)
    paper = read_paper(data.get("paper"), problems)
    if problems or capital is None or limits is None or paper is None:
        return None
    return SessionSpec(
        session_id="", user_id=user_id, mode=mode, broker=broker, credential=credential, symbols=symbols,
        strategies=strategies, capital_paise=capital, limits=limits, paper=paper,
    )  # fmt: skip


def _broker(data: dict[str, Any], problems: Problems) -> str:
    value = data.get("broker", "paper")
    if value in BROKERS:
        return str(value)
    if not isinstance(value, str):
        problems.add("data.broker", f"must be text, not {kind_of(value)}")
    elif value in LATER_BROKERS:
        problems.add("data.broker", f"there is no order gateway for {value} in this version; known: {BROKERS[0]}")
    else:
        problems.add("data.broker", f"unknown broker{nearest(value, BROKERS) or '; known: ' + ', '.join(BROKERS)}")
    return "paper"


def _credential(data: dict[str, Any], problems: Problems) -> str | None:
    """The name of a stored credential. A token that is carried instead is looked at and dropped here."""
    token, credential = data.get("access_token"), data.get("credential")
    if token is not None and (not isinstance(token, str) or not token):
        problems.add("data.access_token", "must be text that is not empty")
    if credential is None:
        return None
    if token is not None:
        problems.add("data.credential", "give a credential's name or an access_token, not both")
    if not isinstance(credential, str) or not _NAME.fullmatch(credential):
        problems.add("data.credential", "must be a name of 1 to 64 letters, digits or . _ -")
        return None
    return credential


def _mode(data: dict[str, Any], problems: Problems) -> Mode:
    value = data.get("mode", Mode.PAPER.value)
    names = [mode.value for mode in Mode]
    if not isinstance(value, str):
        problems.add("data.mode", f"must be text, not {kind_of(value)}")
    elif value not in names:
        problems.add("data.mode", f"unknown mode{nearest(value, names) or '; known: ' + ', '.join(names)}")
    elif Mode(value) is not Mode.PAPER:
        problems.add("data.mode", _MISSING_FOR_MODE[Mode(value)])
    return Mode.PAPER


def _strategies(data: dict[str, Any], catalogue: Catalogue, problems: Problems) -> tuple[StrategySpec, ...]:
    items = _items(data, "strategies", MAX_STRATEGIES, problems)
    if "strategies" not in data:
        problems.add("data.strategies", "is missing: a list of names or of {name, parameters}")
    found: dict[str, StrategySpec] = {}
    for at, item in items:
        spec = _strategy(item, at, problems)
        if spec is None:
            continue
        if spec.name in found:
            problems.add(at, f"names {spec.name!r} a second time; one session runs a strategy once")
        for error in catalogue.check_strategy(spec):
            problems.add(f"{at}.{error.field}", error.problem)
        found[spec.name] = spec
    return tuple(found.values())


def _strategy(item: Any, at: str, problems: Problems) -> StrategySpec | None:
    if isinstance(item, str):
        item = {"name": item}
    if not isinstance(item, dict):
        problems.add(at, f"must be a name or an object, not {kind_of(item)}")
        return None
    before = len(problems.errors)
    problems.unknown_keys(at, item, ("name", "parameters", "path"))
    name, parameters, path = item.get("name"), item.get("parameters", {}), item.get("path")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problems.add(f"{at}.name", "must be a strategy's name: 1 to 64 letters, digits or . _ -")
    if not isinstance(parameters, dict):
        problems.add(f"{at}.parameters", f"must be an object, not {kind_of(parameters)}")
    if path is not None and (not isinstance(path, str) or not path):
        problems.add(f"{at}.path", "must be the path of a Python file")
    if len(problems.errors) > before:
        return None
    return StrategySpec(name=str(name), parameters=plain(parameters), path=path)


def _symbols(data: dict[str, Any], catalogue: Catalogue, problems: Problems) -> tuple[str, ...]:
    """Canonical symbols, each once: two names of one instrument are one symbol."""
    if "symbols" not in data and "underlyings" not in data:
        problems.add("data.symbols", "is missing: a list of symbols")
    items = [*_items(data, "symbols", MAX_SYMBOLS, problems), *_items(data, "underlyings", MAX_SYMBOLS, problems)]
    found: dict[str, None] = {}
    for at, item in items:
        if not isinstance(item, str):
            problems.add(at, f"must be text, not {kind_of(item)}")
        else:
            try:
                found[catalogue.instruments.find(item[:MAX_NAME]).symbol] = None
            except InvalidInput as error:
                problems.add(at, str(error))
    return tuple(found)


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
