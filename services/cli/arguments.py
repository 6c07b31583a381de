"""Options of the commands → the data of START_TRADING, checked before anything is started."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Any

from services.gateway.domain.body import user_id_problem
from tradebus.contracts.orders import FillModel, Tariff
from tradebus.kernel.errors import InvalidInput, nearest

SANDBOX_SPEED_MAX = 120
ONE_USER = "trader"
_FILL_SETTINGS = ("latency_ms", "slippage_bps", "participation_pct", "impact_bps", "partial_fill_probability")


def parse_day(text: str | None, *, option: str) -> date | None:
    """`2024-01-31`. Raises InvalidInput naming the option."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{option} {text!r}: not a date; write it as 2024-01-31") from error


def parse_speed(text: str) -> str:
    """ "max", or how many times faster than the clock. Raises InvalidInput."""
    if text == "max":
        return text
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1e6:
        raise InvalidInput(f"--speed {text!r}: write max, or a number above 0 such as 60")
    return text


def parse_market_speed(text: str) -> float:
    """How many times faster than the clock the sandbox's market runs. Raises InvalidInput."""
    if text == "max":
        raise InvalidInput("--speed max: a market that is traded at through a broker runs by the clock; write 40")
    speed = float(parse_speed(text))
    if speed > SANDBOX_SPEED_MAX:
        raise InvalidInput(f"--speed {text}: at most {SANDBOX_SPEED_MAX}: orders take real time to get there")
    return speed


def parse_broker(text: str, *, option: str) -> str:
    """Raises InvalidInput with the nearest known broker."""
    from tradebus.config.brokers import BROKER_NAMES

    if text not in BROKER_NAMES:
        known = ", ".join(BROKER_NAMES)
        raise InvalidInput(f"{option} {text!r}: unknown broker{nearest(text, BROKER_NAMES)}; known are {known}")
    return text


def parse_feed(text: str) -> str:
    """What `up` may follow: "generated", or a broker. Raises InvalidInput."""
    from tradebus.config.brokers import BROKER_NAMES

    plain = text.strip().lower() or "generated"
    if plain == "history":
        raise InvalidInput("--feed history: recorded days are traded by `tradebus trade --history FILE`")
    if plain != "generated" and plain not in BROKER_NAMES:
        known = ("generated", *BROKER_NAMES)
        raise InvalidInput(f"--feed {text!r}: no such feed{nearest(plain, known)}; there are {', '.join(known)}")
    return plain


def parse_trades(path: Path | None) -> Path | None:
    """Where every trade goes. Raises InvalidInput before anything runs where that cannot be."""
    if path is None:
        return None
    if path.suffix not in (".csv", ".parquet"):
        raise InvalidInput(f"--trades {path}: name a file that ends in .csv or .parquet")
    if not path.absolute().parent.is_dir():
        raise InvalidInput(f"--trades {path}: there is no folder {path.absolute().parent}; make it first")
    return path


def paper_data(charges: str | None, fills: str | None, settings: Sequence[str]) -> dict[str, Any]:
    """START_TRADING's `paper` by the options of cost and fills. Raises InvalidInput."""
    found = parse_pairs(settings, option="--fill")
    for name in found:
        if name not in _FILL_SETTINGS:
            raise InvalidInput(
                f"--fill {name}: no such setting{nearest(name, _FILL_SETTINGS)}; there are {', '.join(_FILL_SETTINGS)}"
            )
    if charges is not None:
        found["charges"] = parse_word(charges, Tariff, option="--charges")
    if fills is not None:
        found["fills"] = parse_word(fills, FillModel, option="--fills")
    return found


def parse_word(text: str, words: type[StrEnum], *, option: str) -> str:
    """One of the words. Raises InvalidInput with the nearest."""
    known = [str(one) for one in words]
    if text not in known:
        raise InvalidInput(f"{option} {text!r}: unknown{nearest(text, known)}; known are {', '.join(known)}")
    return text


def parse_namespace(text: str | None) -> str | None:
    """None where not given, which "" is not. Raises InvalidInput for a name that no schema can have."""
    from tradebus.store.namespaces import schema_name

    if text is not None:
        schema_name(text)
    return text


def parse_pairs(pairs: Sequence[str], *, option: str) -> dict[str, Any]:
    """`length=5` → {"length": 5}: a value is JSON where it can be read as such, text otherwise. Raises InvalidInput."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise InvalidInput(f"{option} {pair!r}: write name=value")
        name = name.strip()
        if name in found:
            raise InvalidInput(f"{option}: {name} is given twice")
        try:
            found[name] = json.loads(text, parse_float=_finite, parse_constant=_finite)
        except OverflowError as error:
            raise InvalidInput(f"{option} {name}: {error} is not a number that can be used") from error
        except ValueError:
            found[name] = text
    return found


def _finite(text: str) -> float:
    """1e400 and NaN, which Python reads as numbers and JSON cannot carry, raise OverflowError."""
    value = float(text)
    if not isfinite(value):
        raise OverflowError(text)
    return value


def strategy_items(names: str | None, files: Sequence[Path], params: Sequence[str]) -> list[dict[str, Any]]:
    """The `strategies` of a START_TRADING: names, a user's own files, and `--param [strategy.]name=value` for them.

    Raises InvalidInput for none at all, or a parameter that fits no one strategy.
    """
    items: list[dict[str, Any]] = [{"name": name.strip()} for name in (names or "").split(",") if name.strip()]
    items += [{"name": file.stem, "path": str(file.absolute())} for file in files]
    if not items:
        raise InvalidInput("--strategy: name at least one strategy, such as orb, or give --strategy-file")
    by_name = {item["name"]: item for item in items}
    for name, value in parse_pairs(params, option="--param").items():
        strategy, dot, parameter = name.rpartition(".")
        if not dot and len(items) > 1:
            raise InvalidInput(f"--param {name}: with several strategies write strategy.{name}=…")
        if dot and strategy not in by_name:
            raise InvalidInput(f"--param {name}: no strategy {strategy!r} is started{nearest(strategy, by_name)}")
        item = by_name[strategy] if dot else items[0]
        item.setdefault("parameters", {})[parameter] = value
    return items


def symbols_of(text: str | None) -> tuple[str, ...]:
    """`NIFTY,RELIANCE`."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def session_data(
    users: Sequence[str], *, strategies: list[dict[str, Any]], capital: str, limits: Sequence[str], seed: int,
    trailing: Sequence[str] | None = None, schedule: Sequence[str] | None = None,
    paper: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """START_TRADING's data by user, without symbols. `limits` are `name=value`, or `user.name=value` for one of them;
    `trailing` and `schedule` are `name=value`.

    Raises InvalidInput for a user's id that is none or is named twice, or a limit of one who is not named.
    """
    names = list(users) or [ONE_USER]
    for name in names:
        if (problem := user_id_problem(name)) is not None:
            raise InvalidInput(f"--user {name[:80]!r}: {problem}")
    if len(set(names)) < len(names):
        raise InvalidInput(f"--user {max(names, key=names.count)}: is given twice")
    shared: dict[str, Any] = {}
    own: dict[str, dict[str, Any]] = {name: {} for name in names}
    for name, value in parse_pairs(limits, option="--limit").items():
        user, dot, limit = name.rpartition(".")
        if not dot:
            shared[name] = value
        elif user in own:
            own[user][limit] = value
        else:
            raise InvalidInput(f"--limit {name}: no user {user!r} is given with --user{nearest(user, own)}")
    common: dict[str, Any] = {"strategies": strategies, "capital": capital, "paper": {"seed": seed, **(paper or {})}}
    if trail := parse_pairs(trailing or (), option="--trailing"):
        common["trailing"] = trail
    if days := schedule_data(schedule or ()):
        common["schedule"] = days
    return {name: {**common, "limits": {**shared, **own[name]}} for name in names}


def schedule_data(pairs: Sequence[str]) -> dict[str, Any]:
    """`days=MON,THU`, `days_to_expiry=0,1`, `from=2026-12-01` → START_TRADING's `schedule`. Raises InvalidInput."""
    found = parse_pairs(pairs, option="--schedule")
    for name in ("days", "days_to_expiry"):
        if name in found and not isinstance(found[name], list):
            parts = [part.strip() for part in str(found[name]).split(",")]
            found[name] = [int(part) if part.isdecimal() and part.isascii() else part for part in parts]
    return found


def require_strategies(items: Sequence[dict[str, Any]]) -> None:
    """Raises InvalidInput for a strategy that cannot be started, in one line."""
    from services.gateway.strategy_check import strategy_errors
    from tradebus.contracts.sessions import StrategySpec

    problems = [
        f"{item['name']}: {error.field}: {error.problem}"
        for item in items
        for error in strategy_errors(StrategySpec.model_validate(item), says_back=True)
    ]
    if problems:
        raise InvalidInput(f"--strategy {'; '.join(problems)}")
