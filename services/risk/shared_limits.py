"""Limits over several sessions (a user's, an account's, all of them), as the desk's file says them: RISK_LIMITS_FILE.

    {"all": {"daily_max_loss": 50000}, "accounts": {"kite": {"max_exposure": 2000000, "max_orders_per_minute": 20}},
     "users": {"123": {"daily_max_loss_pct": 2}}}

An account is named as START names its login (`credential`); paper sessions together are the account "paper". Names and
rupees as in START's limits. Read once, at the start of risk: a file with anything wrong stops the start. What holds is
in the book, where the gateway changes it while risk runs; a change holds until the file says something else than it
did.

    file ─► taken over where it says something new ─► book ◄─ SET_SHARED_LIMITS
                                                       └─► looked at every second ─► scopes
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from services.risk.sessions import RiskSession, RiskSessions
from tradebus.contracts.sessions import ScopeLimits
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.kernel.money import rupees_to_paise
from tradebus.risk.rules.holders import LimitHolder, asks_for_means, contradicting_times, limits_held_by, why_not_held
from tradebus.risk.rules.losses.daily_max_loss import scope_loss
from tradebus.risk.rules.scopes import shared_scope
from tradebus.risk.rules.widening import changed_fields, widens
from tradebus.risk.state import RiskState
from tradebus.risk.terms import Means, SharedLimits, clock_ns
from tradebus.store.book import Book
from tradebus.store.books import shared_limits_book
from tradebus.store.books.limits.shared_limits import ACCOUNT, ALL, USER, SharedLimitChange, SharedLimitsRow

_PAISE = "_paise"
_FILE = "RISK_LIMITS_FILE"
_GROUPS = {"accounts": ACCOUNT, "users": USER}
_NAMES = {name.removesuffix(_PAISE): name for name in limits_held_by(LimitHolder.ALL)}

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DeskLimits:
    """What the file says; nothing where there is none."""

    every: ScopeLimits | None = None
    accounts: Mapping[str, ScopeLimits] = field(default_factory=dict)
    users: Mapping[str, ScopeLimits] = field(default_factory=dict)

    @property
    def scopes(self) -> dict[str, ScopeLimits]:
        """By the names that scopes have in the book."""
        whole = {} if self.every is None else {ALL: self.every}
        accounts = {f"{ACCOUNT}{name}": limits for name, limits in self.accounts.items()}
        return whole | accounts | {f"{USER}{name}": limits for name, limits in self.users.items()}

    @classmethod
    def of(cls, scopes: Mapping[str, ScopeLimits]) -> "DeskLimits":
        accounts, users = (
            {name.removeprefix(kind): limits for name, limits in scopes.items() if name.startswith(kind)}
            for kind in (ACCOUNT, USER)
        )
        return cls(scopes.get(ALL), accounts, users)


@dataclass(frozen=True, slots=True)
class LostShare:
    """Sessions whose common limit is reached, by their ids, with the rule and the figures."""

    name: str
    session_ids: Sequence[str]
    rule: str
    detail: str


def read_desk_limits(path: Path | None) -> DeskLimits:
    """Raises InvalidInput that names the file and every field that is wrong."""
    if path is None:
        return DeskLimits()
    try:
        tree = json.loads(path.read_bytes(), parse_float=Decimal)
    except OSError as error:
        raise InvalidInput(f"RISK_LIMITS_FILE {path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"RISK_LIMITS_FILE {path}: is not JSON: {error}") from error
    problems: list[str] = []
    whole = _object(tree, "the file", problems)
    known = (ALL, *_GROUPS)
    problems += [f"{key}: unknown; known are {', '.join(known)}" for key in whole if key not in known]
    scopes = {ALL: _limits(whole[ALL], ALL, problems)} if ALL in whole else {}
    for group, kind in _GROUPS.items():
        for name, item in _object(whole.get(group, {}), group, problems).items():
            scopes[f"{kind}{name}"] = _limits(item, f"{group}.{name}", problems)
    if problems:
        raise InvalidInput(f"RISK_LIMITS_FILE {path}: {'; '.join(problems)}")
    return DeskLimits.of(scopes)


def _object(value: Any, at: str, problems: list[str]) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    problems.append(f"{at}: must be an object")
    return {}


def _limits(value: Any, at: str, problems: list[str]) -> ScopeLimits:
    fields: dict[str, Any] = {}
    for key, item in _object(value, at, problems).items():
        name = _NAMES.get(key)
        if name is None:
            why = why_not_held(key, LimitHolder.ALL) or f"unknown limit{nearest(key, _NAMES)}"
            problems.append(f"{at}.{key}: {why}")
        elif name.endswith(_PAISE):
            try:
                fields[name] = rupees_to_paise(item, name=f"{at}.{key}")
            except InvalidInput as error:
                problems.append(str(error))
        else:
            fields[name] = item
    try:
        limits = ScopeLimits.model_validate(fields, strict=True)
    except ValidationError as error:
        problems += [
            f"{at}.{str(one['loc'][0]).removesuffix(_PAISE)}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        return ScopeLimits()
    problems += [f"{at}.{name}: {problem}" for name, problem in contradicting_times(limits)]
    return limits


class SharedScopes:
    """What sessions share, over those that are alive and those that ended this day. `kept` is None where nothing is
    shared (a paced run)."""

    def __init__(self, kept: "KeptLimits | None", sessions: RiskSessions) -> None:
        self._sessions, self._kept = sessions, kept
        self._scopes: dict[str, ScopeLimits] = {}

    async def load(self) -> None:
        """Holds to what the book says from now on."""
        if self._kept is None:
            return
        scopes = (await self._kept.read()).scopes
        if scopes != self._scopes:
            _log.warning("limits over several sessions", **{name: str(limits) for name, limits in scopes.items()})
            self._scopes = scopes

    @property
    def is_set(self) -> bool:
        return bool(self._scopes)

    @property
    def has_end(self) -> bool:
        """Whether a scope says a time at which everything is closed."""
        return any(limits.hard_trading_end is not None for limits in self._scopes.values())

    def around(self, session_id: str, *, now_ns: int) -> tuple[SharedLimits, ...]:
        """What a session shares with others, as of the day of `now_ns`."""
        session = self._sessions.alive.get(session_id)
        if session is None or not self._scopes:
            return ()
        return tuple(
            SharedLimits(name, limits, tuple(self._states(name, now_ns, but=session_id)), self._means(name, limits))
            for name, limits in self._over(session)
        )

    def lost(self, *, now_ns: int) -> list[LostShare]:
        """Whose common loss of the day reaches its limit, with sessions that are not halted yet."""
        found = []
        for name, limits in self._scopes.items():
            shared = SharedLimits(name, limits, (), self._means(name, limits))
            loss = scope_loss(shared_scope(shared, *self._states(name, now_ns)))
            going = [
                one.terms.session_id for one in self._of(name) if one.state.at(now_ns).halted_rule is None
            ]  # fmt: skip
            if loss is not None and going:
                found.append(LostShare(name, going, loss.rule, f"{name}: {loss.detail}"))
        return found

    def ended_scope(self, session_id: str, *, now_ns: int) -> str | None:
        """The scope whose hard end has come while the session holds what nobody has asked to leave; None: there is
        none."""
        session = self._sessions.alive[session_id]
        if not any(one.closing_rule is None and one.exit_due is None for one in session.state.live()):
            return None
        for name, limits in self._over(session):
            end = limits.hard_trading_end
            if end is not None and now_ns >= clock_ns(end, ts_ns=now_ns):
                return name
        return None

    def _over(self, session: RiskSession) -> list[tuple[str, ScopeLimits]]:
        names = (ALL, f"{ACCOUNT}{session.account}", f"{USER}{session.terms.user_id}")
        return [(name, self._scopes[name]) for name in names if name in self._scopes]

    def _of(self, scope: str) -> list[RiskSession]:
        return [one for one in self._sessions.alive.values() if _holds(scope, one.account, one.terms.user_id)]

    def _means(self, scope: str, limits: ScopeLimits) -> Means:
        """Of what runs there now: what has ended has taken its capital away, and not its loss."""
        return sum((one.terms.means for one in self._of(scope)), Means()) if asks_for_means(limits) else Means()

    def _states(self, scope: str, now_ns: int, *, but: str = "") -> list[RiskState]:
        alive = [one.state for one in self._of(scope) if one.terms.session_id != but]
        ended = [one.state for one in self._sessions.ended.values() if _holds(scope, one.account, one.user_id)]
        return [state.at(now_ns) for state in (*alive, *ended)]


def _holds(scope: str, account: str, user_id: str) -> bool:
    return scope in (ALL, f"{ACCOUNT}{account}", f"{USER}{user_id}")


class KeptLimits:
    """What the book has of limits over sessions; `said` is the desk's file."""

    def __init__(self, store: Book, said: DeskLimits, *, clock: Clock) -> None:
        self._store, self._book, self._clock = store, shared_limits_book(store), clock
        self._said = said.scopes
        self._is_taken_over = False

    async def read(self) -> DeskLimits:
        """What holds now. The first time the file is taken over. Raises what the book's absence raises."""
        if not self._is_taken_over:
            await self._take_over()
            self._is_taken_over = True
        rows = await self._book.rows()
        return DeskLimits.of({scope: row.limits for scope, row in rows.items() if row.limits != ScopeLimits()})

    async def _take_over(self) -> None:
        """Where the file says something else than it did, that holds; of what it says no more, nothing does."""
        async with self._store.begin() as tx:
            await self._book.lock(tx)
            rows = await self._book.rows(tx)
            for scope in sorted({*rows, *self._said}):
                row, said = rows.get(scope, SharedLimitsRow(ScopeLimits())), self._said.get(scope)
                if row.file == said:
                    continue
                limits, now_ns = said or ScopeLimits(), self._clock.now_ns()
                changes = [
                    SharedLimitChange(
                        scope, now_ns, _FILE, name, getattr(row.limits, name), getattr(limits, name),
                        widens(name, getattr(row.limits, name), getattr(limits, name), in_scope=True),
                        "the file says so", "",
                    )
                    for name in changed_fields(row.limits, limits)
                ]  # fmt: skip
                await self._book.put(tx, scope, SharedLimitsRow(limits, said), changes)
