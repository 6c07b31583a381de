"""The risk limits and paper settings of a START_TRADING. Names as in the contract, money in rupees without `_paise`."""

from itertools import pairwise
from typing import Any, TypeVar

from pydantic import ValidationError

from services.gateway.domain.problems import Problems, kind_of
from services.gateway.domain.values import money_paise, plain
from tradebus.contracts.base import Model
from tradebus.contracts.sessions import PaperSettings, RiskLimits

M = TypeVar("M", bound=Model)

_PAISE = "_paise"
_MONEY_FIELDS = {name.removesuffix(_PAISE): name for name in RiskLimits.model_fields if name.endswith(_PAISE)}
LIMIT_NAMES = tuple(name.removesuffix(_PAISE) for name in RiskLimits.model_fields)


def read_limits(data: dict[str, Any], problems: Problems) -> RiskLimits | None:
    """`data.limits` (also `data.risk_limits`); the defaults where absent."""
    if "limits" in data and "risk_limits" in data:
        problems.add("data.risk_limits", "is the same as limits; give one of the two")
        return None
    name = "risk_limits" if "risk_limits" in data else "limits"
    at, value = f"data.{name}", data.get(name, {})
    if not isinstance(value, dict):
        problems.add(at, f"must be an object, not {kind_of(value)}")
        return None
    problems.unknown_keys(at, value, LIMIT_NAMES)
    fields: dict[str, Any] = {}
    for key, item in value.items():
        if key in _MONEY_FIELDS:
            fields[_MONEY_FIELDS[key]] = money_paise(item, at=f"{at}.{key}", problems=problems)
        elif key in LIMIT_NAMES:
            fields[key] = plain(item)
    limits = _validated(RiskLimits, fields, at, problems)
    if limits is not None:
        _check_times(limits, at, problems)
    return limits


def read_paper(value: Any, problems: Problems) -> PaperSettings | None:
    """`data.paper`; the defaults where absent."""
    if value is None:
        return PaperSettings()
    if not isinstance(value, dict):
        problems.add("data.paper", f"must be an object, not {kind_of(value)}")
        return None
    problems.unknown_keys("data.paper", value, tuple(PaperSettings.model_fields))
    known = {key: plain(item) for key, item in value.items() if key in PaperSettings.model_fields}
    return _validated(PaperSettings, known, "data.paper", problems)


def _validated(model: type[M], fields: dict[str, Any], at: str, problems: Problems) -> M | None:
    try:
        return model.model_validate(fields, strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            path = ".".join(str(part).removesuffix(_PAISE) for part in detail["loc"])
            problems.add(f"{at}.{path}", detail["msg"])
    return None


def _check_times(limits: RiskLimits, at: str, problems: Problems) -> None:
    """Guards that contradict each other would silently block every entry."""
    order = ("safe_trading_start", "safe_trading_end", "hard_trading_end")
    given = [(name, time) for name in order if (time := getattr(limits, name)) is not None]
    for (earlier_name, earlier), (later_name, later) in pairwise(given):
        if later < earlier or (later == earlier and later_name == "safe_trading_end"):
            problems.add(f"{at}.{later_name}", f"{later} is not after {earlier_name} {earlier}")
