"""What `tradebus demo --broker` does: a morning at the sandbox exchange through one broker's face, orders through the
same or another one's, and in the end the ledger held against the exchange's own book.

    sandbox ─► its clock ─► stack ─► two sessions ─► the morning ─► flat ─► report ─► ledger = book?
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from services.cli.brokers.sandbox_admin import SandboxAdmin, SandboxClock
from services.cli.brokers.sandbox_process import broker_addresses, sandbox_spec
from services.cli.output import print_json, say
from services.cli.place import state_dir
from services.cli.reports.broker_book import compare
from services.cli.reports.present import print_report, write_files
from services.cli.reports.report import read_report
from services.cli.runs.demonstration import STOCKS, SYMBOLS, last_trading_day
from services.cli.runs.paced import START_SECONDS, RunOutcome, WantedSession, stop_sessions
from services.cli.runs.trading import new_name, run_facts, run_figures
from services.cli.stack.assembly import Plan, Stack, open_stack, preferred_port
from services.cli.stack.rundir import runs_folder
from services.cli.stack.supervisor import ProcessSupervisor
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.calendar import is_trading_day, session_for
from tradebus.kernel.clock import WallClock, monotonic_ns
from tradebus.kernel.errors import InvalidInput, TradebusError
from tradebus.kernel.money import format_rupees
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_datetime, ist_to_ns
from tradebus.store.queries import load_queries
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

BEGIN = time(9, 8)  # while the services come up the market opens
_SUMMARY_SECONDS = 5.0
_SANDBOX_TICKS_PER_SECOND = 150  # of the market, over all instruments
_INSTRUMENTS = 300
_SQL = load_queries("services.cli.reports.sql", "broker_demo")


@dataclass(frozen=True, slots=True)
class BrokerDemo:
    """The options. Prices come from `broker`, orders go to `orders_broker`; `minutes` of the market from when the
    sessions run, 09:15 at the earliest."""

    broker: str
    orders_broker: str
    seed: int
    day: date | None
    speed: float
    minutes: int
    port: int
    keep: bool
    json: bool


class BooksDiffer(TradebusError):
    """The ledger is not what the exchange has."""


async def run_broker_demo(wanted: BrokerDemo) -> None:
    """Prints the report. Raises BooksDiffer where ledger and book are not equal, InvalidInput for a closed day."""
    day = wanted.day or last_trading_day(ist_date(WallClock().now_ns()))
    if not is_trading_day(day):
        raise InvalidInput(f"--day {day}: the exchange is closed that day")
    name = new_name("demo")
    folder = runs_folder(state_dir()) / name
    folder.mkdir(parents=True, exist_ok=True)
    async with _sandbox(wanted, day, folder) as (ports, exchange):
        # An exchange that died has forgotten its books: the rest of the demo could only be wrong.
        differences = await exchange.while_healthy(_demonstrate(wanted, name, ports, day))
    if differences:
        raise BooksDiffer(f"ledger and exchange differ in {len(differences)} things, the first: {differences[0]}")


async def _demonstrate(wanted: BrokerDemo, name: str, ports: dict[str, int], day: date) -> list[str]:
    """Trades the morning and shows it; what ledger and exchange differ in."""
    async with SandboxAdmin(f"http://127.0.0.1:{ports['admin']}") as admin:
        clock = await admin.market_clock()
        async with open_stack(_plan(wanted, name, ports, clock), keep=wanted.keep) as stack:
            say(f"dashboard and API: {stack.state.gateway_url}  (token: {stack.state.token_file})")
            sessions = await _log_in(wanted, admin, Path(stack.state.state_dir))
            outcome = await _trade(stack, wanted, sessions, clock, day)
            differences = await _differences(stack, admin, sessions, outcome)
            _show(stack, wanted, outcome, differences, day)
    return differences


@asynccontextmanager
async def _sandbox(
    wanted: BrokerDemo, day: date, folder: Path
) -> AsyncIterator[tuple[dict[str, int], ProcessSupervisor]]:
    """The exchange as a process of its own; its ports by face, and who watches it."""
    spec, ports = sandbox_spec({
        "SEED": str(wanted.seed), "SPEED": f"{wanted.speed:g}", "START": datetime.combine(day, BEGIN).isoformat(),
        "INSTRUMENTS": str(_INSTRUMENTS), "TICKS_PER_SECOND": str(_SANDBOX_TICKS_PER_SECOND),
    })  # fmt: skip
    supervisor = ProcessSupervisor([spec], run_dir=folder, changed=lambda _: None, say=say)
    try:
        await supervisor.start(["sandbox"])
        say(f"sandbox exchange: {', '.join(f'{face} http://127.0.0.1:{port}' for face, port in ports.items())}")
        yield ports, supervisor
    finally:
        await supervisor.stop()


def _plan(wanted: BrokerDemo, name: str, ports: dict[str, int], clock: SandboxClock) -> Plan:
    # What is seconds at an exchange is milliseconds here: limits on the age of things are widened with the speed.
    age_seconds = str(max(60, int(4 * wanted.speed)))
    shared = {
        **broker_addresses(ports),
        "TRADEBUS_MARKET_CLOCK": clock.text, "RISK_MAX_SIGNAL_AGE_SECONDS": age_seconds,
        "RISK_APPROVAL_VALID_SECONDS": str(2 * int(age_seconds)),
    }  # fmt: skip
    feed = {
        "TRADEBUS_FEED": wanted.broker, "TRADEBUS_SYMBOLS": ",".join(SYMBOLS), "TRADEBUS_FEED_CREDENTIAL": "feed",
        "TRADEBUS_CLOSE_GRACE_MS": "60",
    }  # fmt: skip
    return Plan(
        name=name, command="demo", namespace=name, paced=False, feed=feed, shared=shared,
        gateway_port=preferred_port(wanted.port),
    )  # fmt: skip


async def _log_in(wanted: BrokerDemo, admin: SandboxAdmin, state: Path) -> list[WantedSession]:
    """An account for the feed and one for each user, with their logins stored; the sessions to start."""
    credentials = Credentials(state)
    sessions = []
    for user in ("feed", "asha", "ravi"):
        account, broker = account_of(user), wanted.broker if user == "feed" else wanted.orders_broker
        token = await admin.log_in(account, broker)
        credentials.put(user, Credential(broker, client_id=account, access_token=token, account=account))
        if user != "feed":
            sessions.append(WantedSession(user, _session(wanted, user)))
    return sessions


def account_of(user: str) -> str:
    """The user's account at the exchange."""
    return f"{user.upper()}01"


def _session(wanted: BrokerDemo, user: str) -> dict[str, Any]:
    timeout_seconds = max(30, int(8 * wanted.speed))
    shared = {
        "mode": "live", "broker": wanted.orders_broker, "data_broker": wanted.broker, "credential": user,
    }  # fmt: skip
    limits = {
        "order_timeout_seconds": timeout_seconds, "cooldown_seconds": 60, "max_trades_per_symbol_per_day": 20,
        "daily_max_loss_r": 3,
    }  # fmt: skip
    if user == "asha":
        return {
            **shared, "strategies": [{"name": "orb", "parameters": {"volume_multiple": 1.1, "lock_minutes": 2}}],
            "symbols": ["NIFTY", "BANKNIFTY"], "capital": 4_000_000, "limits": limits,
        }  # fmt: skip
    return {
        **shared, "strategies": [{"name": "ema_20_50", "parameters": {"fast": 3, "slow": 8, "vwap_filter": False}}],
        "symbols": ["BANKNIFTY", *STOCKS], "capital": 1_500_000, "limits": {**limits, "max_concurrent_trades": 4},
    }  # fmt: skip


async def _trade(
    stack: Stack, wanted: BrokerDemo, sessions: Sequence[WantedSession], clock: SandboxClock, day: date
) -> RunOutcome:
    """Runs the sessions over their part of the morning, and stops them."""
    session = session_for(day, "derivative")
    assert session is not None, "checked before"
    await stack.start_first()
    began_ns = monotonic_ns()
    async with stack.client() as client:
        replies = [await client.command("START_TRADING", user_id=one.user_id, data=one.data) for one in sessions]
        await stack.start_rest()
        ids = [str(reply["session_id"]) for reply in replies]
        store = await Store.connect(
            stack.servers.database_url,
            namespace=stack.plan.namespace,
            producer="cli",
            pool_size=1,
            timers=wall_timers(),
        )
        try:
            for session_id in ids:
                await stack.supervisor.while_healthy(client.until(session_id, "RUNNING", seconds=START_SECONDS))
            # A slow machine is still starting while its market is open already.
            from_ns = max(session.open_ns, clock.now_ns())
            end_ns = min(from_ns + wanted.minutes * 60 * NANOSECONDS_PER_SECOND, session.square_off_ns)
            await stack.supervisor.while_healthy(_until(clock, end_ns, from_ns, store))
            await stack.supervisor.while_healthy(stop_sessions(client, sessions, ids, reason="end of demo"))
            wall_seconds = (monotonic_ns() - began_ns) / 1e9
            await stack.supervisor.stop()
            symbols = [row["symbol"] for row in await store.pool.fetch(_SQL["symbols"])]
            report = await read_report(
                store.pool, symbols=symbols, from_ns=ist_to_ns(day, time(0)),
                to_ns=ist_to_ns(day + timedelta(days=1), time(0)),
            )  # fmt: skip
        finally:
            await store.close()
    return RunOutcome(report, wall_seconds)


async def _until(clock: SandboxClock, end_ns: int, from_ns: int, store: Store) -> None:
    """Shows how it stands every few seconds, until the market's clock has reached the end."""
    while (now_ns := clock.now_ns()) < end_ns:
        share = min(1.0, max(0.0, (now_ns - from_ns) / max(1, end_ns - from_ns)))
        users = [
            f"{row['user_id']}: {row['closed']} trades, {row['open']} open, {format_rupees(row['net_pnl_paise'])}"
            for row in await store.pool.fetch(_SQL["summary"])
        ]
        say(f"{share:>4.0%}  {ist_datetime(now_ns):%H:%M} at the exchange   {'   '.join(users)}")
        await asyncio.sleep(min(_SUMMARY_SECONDS, max(0.1, (end_ns - now_ns) / clock.speed / 1e9)))


async def _differences(
    stack: Stack, admin: SandboxAdmin, sessions: Sequence[WantedSession], outcome: RunOutcome
) -> list[str]:
    """What the ledger and the exchange's book of each account do not agree on."""
    store = await Store.connect(
        stack.servers.database_url, namespace=stack.plan.namespace, producer="cli", pool_size=1, timers=wall_timers()
    )
    by_user = {one.user_id: one for one in outcome.report.sessions}
    found = []
    try:
        for one in sessions:
            session = by_user[one.user_id]
            orders = await store.pool.fetch(_SQL["orders"], session.session_id)
            fills = await store.pool.fetch(_SQL["fills"], session.session_id)
            held = {row["key"]: row["net"] for row in await store.pool.fetch(_SQL["held"], session.session_id)}
            theirs = await admin.account(account_of(one.user_id))
            found += [
                f"{one.user_id}: {text}"
                for text in compare(orders, fills, held, session.figures.gross_pnl_paise, theirs)
            ]
    finally:
        await store.close()
    return found


def _show(stack: Stack, wanted: BrokerDemo, outcome: RunOutcome, differences: Sequence[str], day: date) -> None:
    figures = run_figures(stack, outcome, first=day, last=day, days=1, seed=wanted.seed)
    figures |= {
        "broker": wanted.broker, "orders_broker": wanted.orders_broker, "ledger_equals_book": not differences,
        "differences": list(differences),
    }  # fmt: skip
    write_files(outcome.report, figures, stack.run_dir)
    if wanted.json:
        print_json(figures)
        return
    split = "" if wanted.broker == wanted.orders_broker else f", orders to {wanted.orders_broker}"
    facts = run_facts(stack, outcome, keep=wanted.keep)
    facts["books"] = "ledger = the exchange's book" if not differences else "DIFFERENT"
    print_report(
        outcome.report, title=f"Sandbox day {day}, seed {wanted.seed}, prices from {wanted.broker}{split}", facts=facts
    )
    for text in differences:
        print(f"  {text}")
