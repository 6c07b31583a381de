"""Limits over several sessions (an account, all of them), as the desk's file says them: RISK_LIMITS_FILE.

    {"all": {"daily_max_loss": 50000}, "accounts": {"kite": {"max_exposure": 2000000, "max_orders_per_minute": 20}}}

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
from tradebus.risk.rules.losses.daily_max_loss import scope_loss
from tradebus.risk.rules.scopes import shared_scope
from tradebus.risk.rules.widening import changed_fields, widens
from tradebus.risk.state import RiskState
from tradebus.risk.terms import SharedLimits
from tradebus.store.book import Book
from tradebus.store.books import shared_limits_book
from tradebus.store.books.limits.shared_limits import ACCOUNT, ALL, SharedLimitChange, SharedLimitsRow

_PAISE = "_paise"
_FILE = "RISK_LIMITS_FILE"
# Losses in a row have no order over several sessions.
_NOT_SHARED = "consecutive_losses_limit"
_NAMES = {
    name.removesuffix(_PAISE): name for name in ScopeLimits.model_fields if name != _NOT_SHARED
}  # fmt: skip

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DeskLimits:
    """What the file says; nothing where there is none."""

    every: ScopeLimits | None = None
    accounts: Mapping[str, ScopeLimits] = field(default_factory=dict)


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
    problems += [f"{key}: unknown; known are all, accounts" for key in whole if key not in ("all", "accounts")]
    every = _limits(whole["all"], "all", problems) if "all" in whole else None
    accounts = {
        name: _limits(item, f"accounts.{name}", problems)
        for name, item in _object(whole.get("accounts", {}), "accounts", problems).items()
    }
    if problems:
        raise InvalidInput(f"RISK_LIMITS_FILE {path}: {'; '.join(problems)}")
    return DeskLimits(every, accounts)


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
            why = "is a session's or a strategy's" if key == _NOT_SHARED else f"unknown limit{nearest(key, _NAMES)}"
            problems.append(f"{at}.{key}: {why}")
        elif name.endswith(_PAISE):
            try:
                fields[name] = rupees_to_paise(item, name=f"{at}.{key}")
            except InvalidInput as error:
                problems.append(str(error))
        else:
            fields[name] = item
    try:
        return ScopeLimits.model_validate(fields, strict=True)
    except ValidationError as error:
        problems += [
            f"{at}.{str(one['loc'][0]).removesuffix(_PAISE)}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        return ScopeLimits()


class SharedScopes:
    """What sessions share, over those that are alive and those that ended this day. `kept` is None where nothing is
    shared (a paced run)."""

    def __init__(self, kept: "KeptLimits | None", sessions: RiskSessions) -> None:
        self._limits, self._sessions, self._kept = DeskLimits(), sessions, kept

    async def load(self) -> None:
        """Holds to what the book says from now on."""
        if self._kept is None:
            return
        limits = await self._kept.read()
        if limits != self._limits:
            _log.warning("limits over several sessions", all=limits.every, accounts=dict(limits.accounts))
            self._limits = limits

    @property
    def is_set(self) -> bool:
        return self._limits.every is not None or bool(self._limits.accounts)

    def around(self, session_id: str, *, now_ns: int) -> tuple[SharedLimits, ...]:
        """What a session shares with others, as of the day of `now_ns`."""
        session = self._sessions.alive.get(session_id)
        if session is None or not self.is_set:
            return ()
        return tuple(
            SharedLimits(name, limits, tuple(self._states(account, now_ns, but=session_id)))
            for name, limits, account in self._scopes()
            if account in (None, session.account)
        )

    def lost(self, *, now_ns: int) -> list[LostShare]:
        """Whose common loss of the day reaches its limit, with sessions that are not halted yet."""
        found = []
        for name, limits, account in self._scopes():
            detail = scope_loss(shared_scope(SharedLimits(name, limits, ()), *self._states(account, now_ns)))
            going = [
                one.terms.session_id for one in self._of(account) if one.state.at(now_ns).halted_rule is None
            ]  # fmt: skip
            if detail is not None and going:
                found.append(LostShare(name, going, "daily_max_loss", f"{name}: {detail}"))
        return found

    def _scopes(self) -> Sequence[tuple[str, ScopeLimits, str | None]]:
        named = [(f"account {name}", limits, name) for name, limits in self._limits.accounts.items()]
        return named if self._limits.every is None else [("all", self._limits.every, None), *named]

    def _of(self, account: str | None) -> list[RiskSession]:
        return [one for one in self._sessions.alive.values() if account in (None, one.account)]

    def _states(self, account: str | None, now_ns: int, *, but: str = "") -> list[RiskState]:
        alive = [one.state for one in self._of(account) if one.terms.session_id != but]
        ended = [state for owner, state in self._sessions.ended.values() if account in (None, owner)]
        return [state.at(now_ns) for state in (*alive, *ended)]


class KeptLimits:
    """What the book has of limits over sessions; `said` is the desk's file."""

    def __init__(self, store: Book, said: DeskLimits, *, clock: Clock) -> None:
        self._store, self._book, self._clock = store, shared_limits_book(store), clock
        self._said = {f"{ACCOUNT}{name}": limits for name, limits in said.accounts.items()}
        if said.every is not None:
            self._said[ALL] = said.every
        self._is_taken_over = False

    async def read(self) -> DeskLimits:
        """What holds now. The first time the file is taken over. Raises what the book's absence raises."""
        if not self._is_taken_over:
            await self._take_over()
            self._is_taken_over = True
        held = {scope: row.limits for scope, row in (await self._book.rows()).items() if row.limits != ScopeLimits()}
        accounts = {scope.removeprefix(ACCOUNT): limits for scope, limits in held.items() if scope != ALL}
        return DeskLimits(held.get(ALL), accounts)

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
                        widens(name, getattr(row.limits, name), getattr(limits, name)), "the file says so", "",
                    )
                    for name in changed_fields(row.limits, limits)
                ]  # fmt: skip
                await self._book.put(tx, scope, SharedLimitsRow(limits, said), changes)
