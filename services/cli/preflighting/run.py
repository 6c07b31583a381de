"""Every gate of every account that is asked about; nothing but reads leaves."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

from services.cli.brokers.access import audited, credentials
from services.cli.killing.logins import where_brokers_are
from services.cli.output import print_json
from services.cli.place import find_database, find_namespace, state_dir
from services.cli.stack.rundir import alive_runs
from tradebus.brokers.registry import open_broker
from tradebus.calendar.review import review
from tradebus.config.brokers import BrokerSettings
from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import InvalidInput, TradebusError, nearest
from tradebus.kernel.time import ist_date
from tradebus.preflight.accepted_rules import AcceptedRules
from tradebus.preflight.gate import Finding
from tradebus.preflight.preflight import Preflight, PreflightFailed
from tradebus.runtime.logs import configure_logs
from tradebus.store.books import KillSwitchBook, kill_switch_book
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

_BOOK_SECONDS = 2.0


async def run_preflight(*, account: str | None, accept_market_rules: bool, json: bool) -> None:
    """Prints each gate. Raises PreflightFailed where one is closed, InvalidInput for an account that is not stored."""
    configure_logs("tradebus", level="error")
    runs = alive_runs(state_dir())
    settings = where_brokers_are(runs[0].brokers if runs else {})
    if accept_market_rules:
        accept_rules(settings)
    found = await ask_all(settings, chosen_accounts(account), limit_r=_daily_max_loss_r())
    if json:
        print_json(
            {
                "command": "preflight", "passed": not _closed(found),
                "accounts": {
                    name: [asdict(one) | {"passed": one.passed} for one in gates] for name, gates in found.items()
                },
            }
        )  # fmt: skip
    else:
        for name, gates in found.items():
            print(name)
            for one in gates:
                print(f"  {'ok    ' if one.passed else 'CLOSED'} {one}")
    closed = _closed(found)
    if closed:
        raise PreflightFailed(f"live trading is refused; closed: {', '.join(closed)}")


def chosen_accounts(account: str | None) -> list[tuple[str, str]]:
    """(broker, login) of one stored login, given as LOGIN or BROKER:LOGIN, or of all. Raises InvalidInput."""
    kept = credentials()
    names = kept.names()
    if not names:
        raise InvalidInput("no login is stored here: `tradebus login` stores one")
    if account is None:
        return [(kept.get(name).broker, name) for name in names]
    broker, _, name = account.rpartition(":")
    if name not in names:
        raise InvalidInput(f"--account {account}: no such login is stored{nearest(name, names)}")
    found = kept.get(name).broker
    if broker and broker != found:
        raise InvalidInput(f"--account {account}: {name} is a login at {found}")
    return [(found, name)]


def accept_rules(settings: BrokerSettings) -> None:
    """Prints every remark on the market's rules of today, and keeps that a person has taken them."""
    clock, _ = settings.clock_of_market(WallClock())
    day = ist_date(clock.now_ns())
    remarks = review(day)
    for remark in remarks:
        print(f"accepted: {remark.text}")
    AcceptedRules(settings.state_dir).accept(remarks, day=day)


async def ask_all(
    settings: BrokerSettings, accounts: Sequence[tuple[str, str]], *, limit_r: float | None
) -> Mapping[str, Sequence[Finding]]:
    """All accounts at once, by BROKER:LOGIN."""
    async with _switch() as switch:
        return await _asked(settings, accounts, switch, limit_r=limit_r)


@asynccontextmanager
async def _switch() -> AsyncIterator[KillSwitchBook | None]:
    """The kill switch's row of the stack that runs; None where no book of record answers."""
    try:
        store = await Store.connect(
            find_database(), namespace=find_namespace(None), producer="preflight", pool_size=1,
            retry_seconds=_BOOK_SECONDS, timers=wall_timers(),
        )  # fmt: skip
    except (TradebusError, OSError):
        yield None
        return
    try:
        yield kill_switch_book(store)
    finally:
        await store.close()


async def _asked(
    settings: BrokerSettings, accounts: Sequence[tuple[str, str]], switch: KillSwitchBook | None, *,
    limit_r: float | None,
) -> Mapping[str, Sequence[Finding]]:  # fmt: skip
    with audited(settings.state_dir) as log_of:
        preflight = Preflight(
            settings, open_broker=open_broker, log_of=log_of, switch=switch, clock=WallClock(), timers=wall_timers()
        )  # fmt: skip
        asked = (
            preflight.ask(broker=broker, credential_name=name, daily_max_loss_r=limit_r) for broker, name in accounts
        )
        found = await asyncio.gather(*asked)
    return {f"{broker}:{name}": gates for (broker, name), gates in zip(accounts, found, strict=True)}


def _closed(found: Mapping[str, Sequence[Finding]]) -> list[str]:
    return [f"{name} {one.gate}" for name, gates in found.items() for one in gates if not one.passed]


def _daily_max_loss_r() -> float | None:
    """What the gateway would take where a session says nothing. Raises InvalidInput."""
    text = os.environ.get("DAILY_MAX_LOSS_R", "")
    try:
        value = float(text) if text else None
    except ValueError:
        value = -1.0
    if value is not None and not 0 < value <= 1_000:
        raise InvalidInput("DAILY_MAX_LOSS_R: write a number above 0 and at most 1000")
    return value
