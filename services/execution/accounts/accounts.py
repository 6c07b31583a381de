"""Logins at brokers that take orders, opened when a session asks for one; sessions of one login share it.

session ─► (broker, credential) ─► account: gateway, updates, what the broker lists ─► Reconciler
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from functools import partial

import structlog

from services.execution.accounts.entering.entry_bands import EntryBands
from services.execution.accounts.entering.entry_margin import EntryMargin
from services.execution.accounts.fence import ClosingFence
from services.execution.accounts.listed import BrokerNames
from services.execution.books import Books
from services.execution.settings import ExecutionSettings
from tradebus.brokers.account import SessionState
from tradebus.brokers.audit.log import LogOf
from tradebus.brokers.credentials import Credentials
from tradebus.brokers.errors import TokenExpired
from tradebus.brokers.ports import OrderGateway
from tradebus.brokers.registry import WITH_TRIGGERS, Broker, OpenBroker
from tradebus.calendar import Contract, time_legal, values_legal
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.sessions import Mode, ProtectionKind, SessionSpec
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput, TradebusError
from tradebus.kernel.time import ist_date
from tradebus.kernel.timers import Timers
from tradebus.preflight.live_accounts import LiveAccounts
from tradebus.preflight.preflight import Preflight, PreflightFailed
from tradebus.store.books import kill_switch_book
from tradebus.trading.orders import OrderRequest
from tradebus.waiting.beside import BesideLook

_AGAIN_NS = 2_000_000_000
_MARK_SECONDS = 2.0
_log = structlog.get_logger()


def account_key(spec: SessionSpec) -> tuple[str, str]:
    """Whose book a session's orders are in: broker and login."""
    return spec.broker, spec.credential or spec.broker


class TradingAccount:
    """One login. `blocked` says why no new position is opened through it, "" where one may be."""

    def __init__(
        self, key: tuple[str, str], broker: Broker, listed: BrokerNames, fence: ClosingFence, *,
        stored_account: str, credentials: Credentials, margin_max_age_seconds: float, timers: Timers,
    ) -> None:  # fmt: skip
        self.credentials = credentials  # where its login is stored
        self.key, self.name, self.broker, self.listed, self.fence = key, ":".join(key), broker, listed, fence
        # As the broker calls it, or as the login was stored where it was not asked; "" where neither says.
        self.whose = broker.session.account or stored_account
        self.gateway: OrderGateway = broker.orders(listed.known)
        self.margin = EntryMargin(
            broker.account, listed.get, name=self.name, max_age_seconds=margin_max_age_seconds, timers=timers
        )  # fmt: skip
        self.bands = EntryBands(broker.reference, listed.get, name=self.name, timers=timers)
        self.sessions: dict[str, SessionSpec] = {}
        self.blocked = ""

    def problem(self, request: OrderRequest, *, now_ns: int) -> str | None:
        """Why the request cannot be one order at this broker, None where it can: somebody closes the account out, or
        the dated order rules, asked with the broker's own terms of the day. An order that ends a position is never held
        back by our clock, the exchange says so itself."""
        closing = self.fence.problem()
        if closing:
            return closing
        if self.listed.get(request.instrument) is None or request.contract is None:
            return f"{request.symbol} is not listed at {self.broker.name}"
        return self.against_rules(request, now_ns=now_ns)

    def against_rules(self, request: OrderRequest, *, now_ns: int) -> str | None:
        """The order rule that a new order, or one that is changed into this, would break, None where it would none."""
        listing = self.listed.get(request.instrument)
        if listing is None or request.contract is None:
            return None  # nobody knows its terms: the broker says
        day = ist_date(now_ns)
        contract = replace(
            request.contract, symbol=listing.symbol, lot_size=listing.lot_size,
            tick_size_paise=listing.tick_size_paise,
            # Where the broker's master says no freeze quantity, the exchange's own list does.
            freeze_quantity=listing.freeze_quantity or request.contract.freeze_quantity,
        )  # fmt: skip
        order, found = request.proposed(), None
        try:
            if request.role is OrderRole.ENTRY:
                found = time_legal(contract, order, ts_ns=now_ns)
            found = found or values_legal(contract, order, day=day)
        except InvalidInput as error:
            return str(error)
        return None if found is None else f"{found.rule}: {found.detail}"


class Accounts:
    """`opened` gets each new account."""

    def __init__(
        self, settings: ExecutionSettings, books: Books, open_broker: OpenBroker, *, log_of: LogOf, clock: Clock,
        timers: Timers,
    ) -> None:  # fmt: skip
        self._books, self._open_broker, self._log_of, self._timers = books, open_broker, log_of, timers
        self._clock, speed = settings.clock_of_market(clock)
        self._behind_ns = int(settings.feed_behind_seconds * speed * 1e9)
        self._urls, self._sandboxed = settings.broker_urls, settings.sandboxed
        self._live, self._admitted = LiveAccounts(settings.state_dir), set[str]()
        self._mark_looks: dict[str, BesideLook[bool]] = {}
        self._preflight = Preflight(
            settings, open_broker=open_broker, log_of=log_of, switch=kill_switch_book(books.book), clock=clock,
            timers=timers,
        )  # fmt: skip
        self._state_dir, self._margin_max_age_seconds = settings.state_dir, settings.margin_max_age_seconds
        self._credentials = Credentials(settings.state_dir, key=settings.credentials_key)
        self._accounts: dict[tuple[str, str], TradingAccount] = {}
        self._by_session: dict[str, TradingAccount] = {}
        self._opening: dict[tuple[str, str], asyncio.Lock] = {}  # by account: one that hangs holds up no other
        self._failed: dict[tuple[str, str], tuple[int, TradebusError]] = {}
        self.opened: asyncio.Queue[TradingAccount] = asyncio.Queue()

    async def of(self, spec: SessionSpec, *, starting: bool = False) -> TradingAccount:
        """The session's account, opened where it is not yet. Raises InvalidInput and BrokerError; within two seconds
        after a failure the same again, without asking anybody. A session that is `starting` needs a login that the
        broker takes; one that trades is not left alone because its login has ended."""
        if spec.mode is not Mode.LIVE:
            raise InvalidInput(f"session {spec.session_id} is {spec.mode}: it has no way to a broker's orders")
        key = account_key(spec)
        if spec.protection is ProtectionKind.GTT and spec.broker not in WITH_TRIGGERS & set(self._sandboxed):
            raise InvalidInput(f'protection: "{spec.protection}" is not offered at {spec.broker}')
        if spec.broker not in self._sandboxed:
            await self._admit(spec, starting=starting)
        found = self._by_session.get(spec.session_id)
        if found is not None:
            if starting:
                await self._check(found)
            return found
        async with self._opening.setdefault(key, asyncio.Lock()):
            account = self._accounts.get(key)
            if account is None:
                account = await self._opened(key, check=starting)
                self._accounts[key] = account  # nothing is awaited since its names were compared
                self.opened.put_nowait(account)
            elif starting:
                await self._check(account)
            if account.listed.day != self.today():
                await account.listed.refresh(self.today())
            account.sessions[spec.session_id] = spec
            self._by_session[spec.session_id] = account
        return account

    async def acted(self, spec: SessionSpec, *, given_ns: int) -> None:
        """A person has looked at the session's account, at that time of the machine's clock: it is degraded no more."""
        name = ":".join(account_key(spec))
        if await self._books.standings.acted(name, given_ns=given_ns):
            _log.warning("a person has acted, the account is no longer degraded", account=name)

    async def blocked(self, spec: SessionSpec) -> str:
        """Why no entry is made for the session, "" where one may be: what an earlier life said, until its account is
        open."""
        account = self._by_session.get(spec.session_id)
        if account is not None:
            return account.blocked
        return (await self._books.standings.read(":".join(account_key(spec)))).refusal

    def terms(self, session_id: str, instrument: int, contract: Contract) -> Contract:
        """The contract with the freeze quantity of the session's broker, where it tells one: the day's master wins."""
        account = self._by_session.get(session_id)
        listing = account.listed.get(instrument) if account is not None else None
        if listing is None or listing.freeze_quantity in (None, contract.freeze_quantity):
            return contract
        return replace(contract, freeze_quantity=listing.freeze_quantity)

    async def keep_listed(self) -> None:
        """Every account knows what its broker lists on this trading day; one whose broker does not say goes on with
        what it knew, and is asked again at the next call."""
        for account in self.all():
            try:
                await account.listed.keep(self.now_ns())
            except TradebusError as error:
                _log.warning("what the broker lists today is not known", account=account.name, error=str(error))

    def all(self) -> list[TradingAccount]:
        return list(self._accounts.values())

    def close(self) -> None:
        for account in self._accounts.values():
            account.broker.close()

    def today(self) -> date:
        """The market's day: a sandbox's may be another one than the machine's."""
        return ist_date(self.now_ns())

    def now_ns(self) -> int:
        """The market's time, as `today`."""
        return self._clock.now_ns()

    def passed_ns(self) -> int:
        """The event time that has certainly passed, though no tick may say so: brokers' markets do not wait for us."""
        return self._clock.now_ns() - self._behind_ns

    async def _admit(self, spec: SessionSpec, *, starting: bool) -> None:
        """A session that starts at a real broker passes every gate; one that goes on is of an account where one did.
        Raises PreflightFailed, and InvalidInput for a session that whoever wrote it never brought through them."""
        key = account_key(spec)
        name = ":".join(key)
        if starting:
            findings = await self._preflight.ask(
                broker=spec.broker, credential_name=key[1], daily_max_loss_r=spec.limits.daily_max_loss_r
            )
            closed = [str(finding) for finding in findings if not finding.passed]
            if closed:
                raise PreflightFailed("preflight, " + "; ".join(closed))
            await asyncio.to_thread(self._live.mark, name)
            self._admitted.add(name)
        elif name not in self._admitted:
            # Whoever has a mark keeps it: nobody takes it away while execution lives.
            marks = self._mark_looks.setdefault(
                name,
                BesideLook(
                    partial(self._live.__contains__, name), first=False, what=f"mark of {name}", seconds=_MARK_SECONDS,
                    timers=self._timers,
                ),
            )  # fmt: skip
            if not await marks.look():
                raise InvalidInput(f"{name}: no session has passed preflight there; start one")
            self._admitted.add(name)

    async def _opened(self, key: tuple[str, str], *, check: bool) -> TradingAccount:
        failed = self._failed.get(key)
        if failed is not None and self._timers.monotonic_ns() - failed[0] < _AGAIN_NS:
            raise failed[1]
        try:
            return await self._open(*key, check=check)
        except TradebusError as error:
            self._failed[key] = (self._timers.monotonic_ns(), error)
            raise

    async def _check(self, account: TradingAccount) -> None:
        """Of one that is open, for a session that starts. Raises what opening it raises."""
        await _ask_whether_valid(account.broker, account.key[1])
        _check_whose(account.whose, account.broker, account.key[1])
        _check_only_name(account, self.all(), starting=True)

    async def _open(self, name: str, credential_name: str, *, check: bool) -> TradingAccount:
        credential = await asyncio.to_thread(self._credentials.get, credential_name)

        async def stored_token() -> str:
            return (await asyncio.to_thread(self._credentials.get, credential_name)).access_token

        broker = self._open_broker(
            name, credential, url=self._urls[name], timers=self._timers, log=self._log_of(f"{name}:{credential_name}"),
            refresh=stored_token, clock=self._clock,
        )  # fmt: skip
        listed = BrokerNames(self._books, broker, timers=self._timers)
        try:
            if check:
                await _ask_whether_valid(broker, credential_name)
                _check_whose(credential.account, broker, credential_name)
            await listed.refresh(self.today())
            standing = await self._books.standings.read(f"{name}:{credential_name}")
        except BaseException:
            broker.close()
            raise
        fence = ClosingFence(self._state_dir, broker=name, login=credential_name, timers=self._timers)
        account = TradingAccount(
            (name, credential_name), broker, listed, fence, stored_account=credential.account,
            credentials=self._credentials,
            margin_max_age_seconds=self._margin_max_age_seconds, timers=self._timers,
        )  # fmt: skip
        account.blocked = standing.refusal
        try:
            _check_only_name(account, self.all(), starting=check)
        except InvalidInput:
            broker.close()
            raise
        _log.info("account opened", broker=name, credential_name=credential_name)
        return account


async def _ask_whether_valid(broker: Broker, credential_name: str) -> None:
    """Raises TokenExpired for a login that the broker does not take; silence is no refusal."""
    if await broker.session.check() is SessionState.EXPIRED:
        text = f"the login {credential_name!r} is not accepted: `tradebus login --broker {broker.name}`"
        raise TokenExpired(broker.name, text)


def _check_whose(stored: str, broker: Broker, credential_name: str) -> None:
    """Raises InvalidInput for a login that is not of the account it was stored for: its orders would be another's."""
    whose = broker.session.account
    if stored and whose and stored != whose:
        raise InvalidInput(
            f"the login {credential_name!r} is stored for account {stored} and is one of {whose} at {broker.name}: "
            f"`tradebus login --broker {broker.name} --credential NAME` stores it under a name of its own"
        )


def _check_only_name(account: TradingAccount, opened: Iterable[TradingAccount], *, starting: bool) -> None:
    """One account has one name: each name has an order budget, a fence and a reconciler of its own, and two of them
    would send twice what the broker lets out and take each other's orders for strangers'. Raises InvalidInput for a
    session that is `starting`; what trades already is not left alone."""
    (broker, login), whose = account.key, account.broker.session.account or account.whose
    for other in opened:
        same = whose and whose == (other.broker.session.account or other.whose)
        if other is account or other.key[0] != broker or not same:
            continue
        first = other.key[1]
        problem = (
            f"the login {login!r} is of account {whose} at {broker}, which trades as {first!r} already: start the "
            f"session with credential {first!r}; `tradebus login --broker {broker} --credential {first}` renews it"
        )
        if starting:
            raise InvalidInput(problem)
        _log.error("one account under two names", problem=problem)
