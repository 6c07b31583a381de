"""What a SET_LIMITS asks for: which limits become what, and what stands against it.

Invariants (property-tested): nothing is widened unless the command says so; what may not change while running is
refused by name; after the changes the limits in force are the wanted ones; a live session keeps a day's limit in R.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from services.gateway.domain.limits import check_times, read_held
from services.gateway.domain.problems import Problems, kind_of
from tradebus.contracts.sessions import LimitChange, Mode, RiskLimits, ScopeLimits, SessionSpec
from tradebus.kernel.errors import nearest
from tradebus.kernel.money import format_rupees
from tradebus.risk.rules.holders import LimitHolder
from tradebus.risk.rules.widening import FIXED, changed_fields, widens

_PAISE = "_paise"
_MAX_WHO, _MAX_REASON = 64, 200
_SHARED_SCOPE = re.compile(r"all|(account|user) [A-Za-z0-9][A-Za-z0-9_.@:-]{0,63}")
_FIELDS = ("limits", "strategy", "by", "reason", "widen")
LimitValue = int | float | str | None
L = TypeVar("L", RiskLimits, ScopeLimits)


@dataclass(frozen=True, slots=True)
class LimitsAsked:
    """A SET_LIMITS that is well formed. `given` are the limits to change, as the command spells them."""

    given: Mapping[str, Any]
    strategy: str | None
    by: str
    reason: str
    widen: bool


@dataclass(frozen=True, slots=True)
class LimitMove:
    """One limit that changes, `field` as in the contract."""

    field: str
    before: LimitValue
    after: LimitValue
    widens: bool


@dataclass(frozen=True, slots=True)
class LimitsSet:
    """The limits that hold from now on, and what of them is new; nothing where they held already."""

    limits: RiskLimits
    strategies: Mapping[str, ScopeLimits]
    moves: tuple[LimitMove, ...]


def read_limits_asked(data: Mapping[str, Any], problems: Problems) -> LimitsAsked | None:
    """None after adding to `problems`."""
    before = len(problems.errors)
    problems.unknown_keys("data", data, _FIELDS)
    given = data.get("limits")
    if "limits" not in data:
        problems.add("data.limits", 'is missing: the limits to change, such as {"daily_max_loss": 5000}')
    elif not isinstance(given, dict) or not given:
        problems.add("data.limits", f"must be an object with a limit or more, not {kind_of(given)}")
    strategy, widen = data.get("strategy"), data.get("widen", False)
    if strategy is not None and not isinstance(strategy, str):
        problems.add("data.strategy", f"must be a strategy's name, not {kind_of(strategy)}")
    if not isinstance(widen, bool):
        problems.add("data.widen", f"must be true or false, not {kind_of(widen)}")
    by = _text(data, "by", "who changes them", _MAX_WHO, problems)
    reason = _text(data, "reason", "why they are changed", _MAX_REASON, problems)
    if len(problems.errors) > before or not isinstance(given, dict):
        return None
    return LimitsAsked(given, strategy, by, reason, bool(widen))


def decide_limits(
    asked: LimitsAsked, *, spec: SessionSpec, limits: RiskLimits, strategies: Mapping[str, ScopeLimits],
    desk_r: float | None, problems: Problems,
) -> LimitsSet | None:  # fmt: skip
    """`limits` and `strategies` hold now. None after adding to `problems`."""
    before = len(problems.errors)
    if asked.strategy is None:
        wanted = _merged(limits, asked.given, LimitHolder.SESSION, problems)
        if wanted is not None:
            check_times(wanted, "data.limits", problems)
            _check_live(wanted, spec.mode, desk_r, problems)
        moves = [] if wanted is None else _moves(limits, wanted)
        found = LimitsSet(wanted or limits, strategies, tuple(moves))
    else:
        names = [one.name for one in spec.strategies]
        if asked.strategy not in names:
            hint = nearest(asked.strategy, names) or "; it has " + ", ".join(names)
            problems.add("data.strategy", f"the session runs no strategy of that name{hint}")
            return None
        held = strategies.get(asked.strategy, ScopeLimits())
        own = _merged(held, asked.given, LimitHolder.STRATEGY, problems)
        if own is not None:
            check_times(own, "data.limits", problems)
        moves = [] if own is None else _moves(held, own)
        found = LimitsSet(limits, {**strategies, asked.strategy: own or held}, tuple(moves))
    _check_moves(found.moves, asked, problems)
    return None if len(problems.errors) > before else found


def read_shared_asked(data: Mapping[str, Any], problems: Problems) -> tuple[str, LimitsAsked] | None:
    """The scope, and what of it is to change. None after adding to `problems`."""
    scope, before = data.get("scope"), len(problems.errors)
    if not isinstance(scope, str) or not _SHARED_SCOPE.fullmatch(scope):
        problems.add(
            "data.scope", 'must be "all", "account NAME", NAME as START names the login (or paper), or "user NAME"'
        )
    asked = read_limits_asked({name: value for name, value in data.items() if name != "scope"}, problems)
    if asked is not None and asked.strategy is not None:
        problems.add("data.strategy", "is no part of what several sessions share: leave it out")
    return None if asked is None or len(problems.errors) > before else (str(scope), asked)


def decide_shared(
    asked: LimitsAsked, held: ScopeLimits, problems: Problems
) -> tuple[ScopeLimits, list[LimitMove]] | None:
    """The scope's limits from now on, and what of them is new. None after adding to `problems`."""
    before = len(problems.errors)
    wanted = _merged(held, asked.given, LimitHolder.ALL, problems)
    if wanted is not None:
        check_times(wanted, "data.limits", problems)
    moves = [] if wanted is None else _moves(held, wanted)
    _check_moves(moves, asked, problems, is_shared=True)
    return None if wanted is None or len(problems.errors) > before else (wanted, moves)


def spoken(move: LimitMove, strategy: str | None) -> LimitChange:
    """A change as people are told of it."""
    name, is_money = move.field.removesuffix(_PAISE), move.field.endswith(_PAISE)
    return LimitChange(
        strategy=strategy, field=name, before=_said(move.before, is_money), after=_said(move.after, is_money),
        widens=move.widens,
    )  # fmt: skip


def _said(value: LimitValue, is_money: bool) -> str:
    if value is None:
        return "none"
    return format_rupees(value) if is_money and isinstance(value, int) else str(value)


def _merged(held: L, given: Mapping[str, Any], holder: LimitHolder, problems: Problems) -> L | None:
    """The limits that hold, with the given ones in their place."""
    read = read_held(type(held), dict(given), "data.limits", holder, problems)
    if read is None:
        return None
    names = {name: name.removesuffix(_PAISE) for name in type(held).model_fields}
    return held.model_copy(update={name: getattr(read, name) for name, said in names.items() if said in given})


def _moves(held: RiskLimits | ScopeLimits, wanted: RiskLimits | ScopeLimits) -> list[LimitMove]:
    in_scope, found = isinstance(held, ScopeLimits), []
    for name in changed_fields(held, wanted):
        before, after = getattr(held, name), getattr(wanted, name)
        found.append(LimitMove(name, before, after, widens(name, before, after, in_scope=in_scope)))
    return found


def _check_moves(
    moves: Sequence[LimitMove], asked: LimitsAsked, problems: Problems, *, is_shared: bool = False
) -> None:
    for move in moves:
        at = f"data.limits.{move.field.removesuffix(_PAISE)}"
        if move.field in FIXED and not is_shared:
            problems.add(at, "cannot change while the session runs: execution holds to it too; stop and start anew")
        elif move.widens and not asked.widen:
            told = spoken(move, asked.strategy)
            problems.add(at, f'would be wider, from {told.before} to {told.after}: say "widen": true if that is meant')


def _check_live(wanted: RiskLimits, mode: Mode, desk_r: float | None, problems: Problems) -> None:
    at, own = "data.limits.daily_max_loss_r", wanted.daily_max_loss_r
    if mode not in (Mode.LIVE, Mode.DRY_RUN):
        return
    if own is None:
        problems.add(at, f'cannot be taken away: mode "{mode}" needs it')
    elif desk_r is not None and own > desk_r:
        problems.add(at, f"must be at most {desk_r:g}, as DAILY_MAX_LOSS_R in the gateway's environment says")


def _text(data: Mapping[str, Any], name: str, what: str, longest: int, problems: Problems) -> str:
    value = data.get(name)
    if value is None:
        problems.add(f"data.{name}", f"is missing: {what}, 1 to {longest} characters")
    elif not isinstance(value, str):
        problems.add(f"data.{name}", f"must be text, not {kind_of(value)}")
    elif not value.strip() or len(value) > longest or not value.isprintable():
        problems.add(f"data.{name}", f"must be 1 to {longest} printable characters")
    return str(value)
