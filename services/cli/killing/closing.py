"""Every broker account of some stacks, all at once, each on its own."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import structlog

from services.cli.brokers.access import audited, credentials
from services.cli.killing.account import AccountCloser
from services.cli.killing.execution import ExecutionWatch
from services.cli.killing.logins import BrokerLogin, logins_in, where_brokers_are
from services.cli.killing.record import BookOfRecord
from services.cli.killing.report import AccountOutcome
from services.cli.killing.switch import Target
from services.cli.output import say
from services.cli.place import find_database
from tradebus.brokers.audit.log import LogOf
from tradebus.brokers.registry import OpenBroker
from tradebus.kernel.clock import Clock, WallClock
from tradebus.kernel.errors import TradebusError
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import wall_timers

_log = structlog.get_logger()


async def close_out(
    stacks: Sequence[Target], *, everything: bool, at_broker: bool, seconds: float, open_with: OpenBroker
) -> list[AccountOutcome]:
    """How each account of the stacks stands, after `seconds` at the latest. Raises InvalidInput for settings that say
    no address."""
    by_folder: dict[Path, list[Target]] = {}
    for target in stacks:
        by_folder.setdefault(target.folder.resolve(), []).append(target)
    timers = wall_timers()
    with ExitStack() as spools:
        ways = {
            folder: _Way(everything, at_broker, open_with, timers, spools.enter_context(_audited(folder, own)))
            for folder, own in by_folder.items()
        }
        found = await asyncio.gather(
            *(_folder(folder, own, ways[folder], seconds=seconds) for folder, own in by_folder.items())
        )
    return [outcome for outcomes in found for outcome in outcomes]


def _audited(folder: Path, stacks: Sequence[Target]) -> AbstractContextManager[LogOf]:
    """One login is closed out once, whatever stacks trade it: its requests go to the book of the one that runs, or ran
    last."""
    namespace = next((one.namespace for one in stacks if one.run is not None), stacks[0].namespace)
    return audited(folder, namespace=namespace, name="kill")


@dataclass(frozen=True, slots=True)
class _Way:
    """What is the same for all accounts."""

    everything: bool
    at_broker: bool
    open_with: OpenBroker
    timers: Timers
    log_of: LogOf


async def _folder(folder: Path, stacks: Sequence[Target], way: _Way, *, seconds: float) -> list[AccountOutcome]:
    said: Mapping[str, str] = {
        name: value for one in stacks if one.run is not None for name, value in one.run.brokers.items()
    }
    settings = where_brokers_are(said)
    logins, problems = await asyncio.to_thread(logins_in, credentials(folder), settings, folder=folder)
    unknown = [AccountOutcome(name, problem=problem) for name, problem in problems.items()]
    if not logins:
        return unknown
    clock, _ = settings.clock_of_market(WallClock())
    record = BookOfRecord(find_database, [one.namespace for one in stacks])
    watch = ExecutionWatch([one.run for one in stacks if one.run is not None], record, timers=way.timers)
    opening = asyncio.create_task(record.open())  # beside it the brokers are opened
    watching = asyncio.create_task(watch.run(opening))
    asked = "not tried: the account is not flat" if way.at_broker else None
    outcomes = [AccountOutcome(login.account, at_broker=asked) for login in logins]
    try:
        tasks = [
            asyncio.create_task(_account(login, outcome, way, opening, record=record, watch=watch, clock=clock))
            for login, outcome in zip(logins, outcomes, strict=True)
        ]
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(opening, *tasks, return_exceptions=True)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        record.close()
    return [*unknown, *outcomes]


async def _account(
    login: BrokerLogin, outcome: AccountOutcome, way: _Way, opening: "asyncio.Task[None]", *, record: BookOfRecord,
    watch: ExecutionWatch, clock: Clock,
) -> None:  # fmt: skip
    """Whatever one account does, the others are closed. `opening` ends once it is known whether the book answers."""
    kept = credentials(login.state_dir)

    async def stored_token() -> str:
        return (await asyncio.to_thread(kept.get, login.names[0])).access_token

    try:
        # An SDK takes a second to import: not on the loop, on which others are closed and execution is listened to.
        await asyncio.to_thread(import_module, f"tradebus.brokers.{login.broker}")
        broker = way.open_with(
            login.broker, login.credential, url=login.url, timers=way.timers, log=way.log_of(login.account),
            refresh=stored_token, clock=clock,
        )  # fmt: skip
        try:
            closer = AccountCloser(
                login, broker, outcome=outcome, record=record, may_act=lambda: not watch.answers,
                everything=way.everything, clock=clock, timers=way.timers,
            )  # fmt: skip
            await asyncio.wait({opening})
            await closer.run()
            say(f"{login.account}: flat")
            if way.at_broker:
                outcome.at_broker = await closer.switch_off()
        finally:
            broker.close()
    except TradebusError as error:
        outcome.problem = str(error)
    except Exception as error:  # noqa: BLE001 - see above
        outcome.problem = f"{type(error).__name__}: this account was given up, see the lines above"
        _log.error("an account could not be closed out", account=login.account, exc_info=error)
