"""The risk limits, sizes, trails and paper settings of a START_TRADING. Names as in the contract, money in rupees and
without `_paise`."""

from enum import StrEnum
from typing import Any, TypeVar

from pydantic import ValidationError

from services.gateway.domain.problems import Problems, kind_of
from services.gateway.domain.values import money_paise, plain
from tradebus.contracts.base import Model
from tradebus.contracts.orders import FillModel, PriceOrigin, Tariff
from tradebus.contracts.sessions import PaperSettings, RiskLimits, ScopeLimits, Sizing, SizingMode, Trailing
from tradebus.kernel.errors import nearest
from tradebus.risk.rules.holders import LimitHolder, contradicting_times, why_not_held

M = TypeVar("M", bound=Model)

_PAISE = "_paise"
LIMIT_NAMES = tuple(name.removesuffix(_PAISE) for name in RiskLimits.model_fields)
# What each mode of sizing is told by.
_FIGURE_OF = {
    SizingMode.FIXED_LOTS: "lots", SizingMode.FIXED_RUPEES: "amount", SizingMode.CAPITAL_PCT: "capital_pct",
    SizingMode.CAPITAL_PER_TICKER: "amount", SizingMode.ATR: "atr_multiple",
}  # fmt: skip
_WORDS: dict[str, type[StrEnum]] = {
    "charges": Tariff, "fills": FillModel, "prices": PriceOrigin
}  # of the paper settings  # fmt: skip
_DISTANCES = ("distance_r", "distance_pct", "distance")


def read_limits(data: dict[str, Any], problems: Problems) -> RiskLimits | None:
    """`data.limits` (also `data.risk_limits`); the defaults where absent."""
    if "limits" in data and "risk_limits" in data:
        problems.add("data.risk_limits", "is the same as limits; give one of the two")
        return None
    name = "risk_limits" if "risk_limits" in data else "limits"
    at = f"data.{name}"
    limits = read_part(RiskLimits, data.get(name, {}), at, problems)
    if limits is not None:
        check_times(limits, at, problems)
    return limits


def read_paper(value: Any, problems: Problems) -> PaperSettings | None:
    """`data.paper`; the defaults where absent, of fills the conservative model."""
    given = {} if value is None else value
    if isinstance(given, dict):
        fills = FillModel.CONSERVATIVE.value if given.get("fills") is None else given["fills"]
        given = {**given, "fills": fills}
        given = {**given, **{name: _word(given[name], name, problems) for name in _WORDS if name in given}}
    return read_part(PaperSettings, given, "data.paper", problems)


def _word(value: Any, name: str, problems: Problems) -> Any:
    """One of the words that the setting knows; None after a problem. What is no text is told by the model."""
    known = {str(one): one for one in _WORDS[name]}
    if isinstance(value, str) and value not in known:
        problems.add(f"data.paper.{name}", f"unknown{nearest(value, known)}; known: {', '.join(known)}")
        return None
    return known[value] if isinstance(value, str) else value


def read_sizing(value: Any, at: str, problems: Problems) -> Sizing | None:
    """How large trades are asked for: a mode's name, or an object with what the mode needs. None where absent."""
    if value is None:
        return None
    given = {"mode": value} if isinstance(value, str) else value
    if isinstance(given, dict) and isinstance(given.get("mode"), str):
        known = [mode.value for mode in SizingMode]
        if given["mode"] not in known:
            hint = nearest(given["mode"], known) or "; known: " + ", ".join(known)
            problems.add(f"{at}.mode", f"unknown mode{hint}")
            return None
        given = {**given, "mode": SizingMode(given["mode"])}
    sizing = read_part(Sizing, given, at, problems)
    if sizing is None:
        return None
    figure = _FIGURE_OF.get(sizing.mode)
    for name in dict.fromkeys(_FIGURE_OF.values()):
        if name == figure and name not in given:
            problems.add(f"{at}.{name}", f"is missing: mode {sizing.mode} needs it")
        elif name != figure and name in given:
            problems.add(f"{at}.{name}", f"says nothing to mode {sizing.mode}: leave it out, or name another mode")
    return sizing


def read_trailing(value: Any, at: str, problems: Problems) -> Trailing | None:
    """How stops follow the market: an object with one of the distances. None where absent."""
    if value is None:
        return None
    if isinstance(value, dict):
        given = [name for name in _DISTANCES if value.get(name) is not None]
        if len(given) != 1:
            said = f"names {' and '.join(given)}" if given else "names no distance"
            problems.add(at, f"{said}: give one of {', '.join(_DISTANCES)} (distance is in rupees)")
            problems.unknown_keys(at, value, (*_DISTANCES, "step_pct", "after_r"))
            return None
    return read_part(Trailing, value, at, problems)


def read_part(model: type[M], value: Any, at: str, problems: Problems) -> M | None:
    """An object as this model, money in rupees under names without `_paise`. None after a problem."""
    if not isinstance(value, dict):
        problems.add(at, f"must be an object, not {kind_of(value)}")
        return None
    money = {name.removesuffix(_PAISE): name for name in model.model_fields if name.endswith(_PAISE)}
    names = tuple(name.removesuffix(_PAISE) for name in model.model_fields)
    problems.unknown_keys(at, value, names)
    fields: dict[str, Any] = {}
    for key, item in value.items():
        if key in money:
            fields[money[key]] = money_paise(item, at=f"{at}.{key}", problems=problems)
        elif key in names:
            fields[key] = plain(item)
    return _validated(model, fields, at, problems)


def read_held(model: type[M], value: Any, at: str, holder: LimitHolder, problems: Problems) -> M | None:
    """As `read_part`, of limits: what means nothing there is refused with the reason. None after a problem."""
    if not isinstance(value, dict):
        return read_part(model, value, at, problems)
    reasons = {name: reason for name in LIMIT_NAMES if (reason := why_not_held(name, holder)) is not None}
    refused = [name for name in value if name in reasons]
    for name in refused:
        problems.add(f"{at}.{name}", reasons[name])
    found = read_part(model, {name: item for name, item in value.items() if name not in reasons}, at, problems)
    return None if refused else found


def _validated(model: type[M], fields: dict[str, Any], at: str, problems: Problems) -> M | None:
    try:
        return model.model_validate(fields, strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            path = ".".join(str(part).removesuffix(_PAISE) for part in detail["loc"])
            problems.add(f"{at}.{path}", detail["msg"])
    return None


def check_times(limits: RiskLimits | ScopeLimits, at: str, problems: Problems) -> None:
    """Guards that contradict each other would silently block every entry."""
    for name, problem in contradicting_times(limits):
        problems.add(f"{at}.{name}", problem)
