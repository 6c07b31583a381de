"""`tradebus bench orders`: one opinion, a thousand sessions in eight accounts, each with an order of its own.

    1,000 ENTRY_SIGNALs at once ─► risk ─► execution (one process, two) ─► senders of 8 accounts ─► requests

Verdicts and orders are durable before anything leaves. The accounts answer at once and count no requests, so that what
is measured is ours.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from services.cli.bench.orders.broker import NAME, RestingBook
from services.cli.bench.orders.execution import LISTED, SHARES_MAX
from services.cli.bench.ports import BenchClock
from services.cli.bench.processes import process_specs, start_sessions, supervised
from services.cli.bench.processor import POSTGRES, ProcessorTimes, server_pids, shares
from services.cli.stack.children import free_port
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.bus.port import Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import TICK
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import RiskLimits, SessionSpec, StrategySpec
from tradebus.contracts.signals import EntrySignal, Side
from tradebus.contracts.streams import INTENTS, MD_TICKS, SIGNALS, key_of
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import derive_id
from tradebus.runtime.embedded import EmbeddedServers, ServerUrls
from tradebus.store.instruments import register_instruments
from tradebus.store.migrate import migrate
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

SESSIONS, ACCOUNTS, ROUNDS = 1_000, 8, 3
PRICE_PAISE = 290_000
_TICKS = key_of(MD_TICKS)


def measure() -> dict[str, Any]:
    """Orders a second from the first signal to the last request, and milliseconds from the approval to the request."""
    return measure_orders()


def measure_orders(
    *, sessions: int = SESSIONS, accounts: int = ACCOUNTS, rounds: int = ROUNDS, processes: Sequence[int] = (1, 2)
) -> dict[str, Any]:
    """As `measure`; each round is an opinion that every session follows, and one more at first is not counted. At most
    SHARES_MAX - 1 rounds."""
    figures: dict[str, Any] = {"sessions": sessions, "accounts": accounts, "opinions": rounds}
    for count in processes:
        with tempfile.TemporaryDirectory(prefix="tradebus-bench-") as folder, EmbeddedServers(Path(folder)) as servers:
            found = asyncio.run(_measure(servers.for_services, Path(folder), sessions, accounts, rounds, count))
        figures |= {f"{name}, {count} execution process{'es' * (count > 1)}": value for name, value in found.items()}
    return figures


async def _measure(
    urls: ServerUrls, folder: Path, sessions: int, accounts: int, rounds: int, processes: int
) -> dict[str, Any]:
    clock, book = BenchClock.starting_now(), RestingBook()
    async with await asyncio.start_server(book.serve, "127.0.0.1", port := free_port()), _standing(
        urls, folder, clock, sessions=sessions, accounts=accounts, processes=processes, port=port
    ) as standing:  # fmt: skip
        bus, processor = standing
        spans_ns, waits_ns, spent = [], [], list[dict[str, float]]()
        for number in range(rounds + 1):
            signals = [_signal(clock, number, session) for session in range(sessions)]
            before, seconds, began_ns = len(book.came_ns), processor.seconds(), WallClock().now_ns()
            await bus.publish(signals)
            await book.reach(before + sessions)
            came_ns = book.came_ns[before:]
            if number:  # caches, plans and connections are warm
                spent.append({name: used - seconds[name] for name, used in processor.seconds().items()})
                spans_ns.append((max(came_ns) - min(came_ns), max(came_ns) - began_ns))
                waits_ns += await _waits_ns(bus, came_ns)
    first_to_last_s = [span / 1e9 for span, _ in spans_ns]
    whole_ns = sum(whole for _, whole in spans_ns)
    p50, p99, worst = np.percentile(waits_ns, (50, 99, 100)) / 1e6
    return {
        "orders_a_second": sessions / float(np.median([whole / 1e9 for _, whole in spans_ns])),
        "first_to_last_s": {"median": float(np.median(first_to_last_s)), "max": max(first_to_last_s)},
        "approval_to_request_ms": {"p50": float(p50), "p99": float(p99), "max": float(worst)},
        **shares(
            spent,
            orders=sessions * rounds,
            seconds=whole_ns / 1e9,
            cores=os.cpu_count() or 1,
        ),
    }


async def _waits_ns(bus: RedisBus, came_ns: Sequence[int]) -> list[int]:
    """From an approval's leaving risk to a request's coming, the n-th of each: nobody overtakes in an account."""
    approved = await bus.tail(key_of(INTENTS), count=len(came_ns))
    left_ns = sorted(parse(entry.body).ts_recorded_ns for entry in approved)
    return [came - left for left, came in zip(left_ns, sorted(came_ns), strict=True)]


@asynccontextmanager
async def _standing(
    urls: ServerUrls, folder: Path, clock: BenchClock, *, sessions: int, accounts: int, processes: int, port: int
) -> AsyncIterator[tuple[RedisBus, ProcessorTimes]]:
    """Risk and so many execution processes, with the sessions taken up and prices coming."""
    namespace = f"bench_orders_{processes}"
    migrate(urls.database_url, namespace=namespace)
    wall_ns = WallClock().now_ns()
    market = {"TRADEBUS_MARKET_CLOCK": f"{wall_ns + clock.offset_ns}@{wall_ns}x1"}
    execution = {
        **market, "BENCH_BROKER_PORT": str(port), "TRADEBUS_KITE_URL": "http://127.0.0.1:9",
        "EXECUTION_ORDER_LIMIT_SCALE": "1000000",
    }  # fmt: skip
    modules = {"risk": ("services.risk.main", market)} | {
        f"execution-{number}": ("services.cli.bench.orders.execution", {**execution, "TRADEBUS_INSTANCE": str(number)})
        for number in range(processes)
    }
    for number in range(accounts):
        name = f"login{number}"
        Credentials(folder).put(name, Credential(NAME, client_id=name, access_token=name, account=name))
    specs = process_specs(urls, namespace, modules, folder)
    store = await Store.connect(urls.database_url, namespace=namespace, producer="bench-1", timers=wall_timers())
    bus = await RedisBus.connect(urls.redis_url, namespace=namespace, timers=wall_timers())
    supervisor = supervised(specs, folder)
    pricing = asyncio.create_task(_prices(bus, clock))
    try:
        await _register(store)
        await supervisor.start(list(modules))
        started = [_spec(number, accounts) for number in range(sessions)]
        await start_sessions(store, bus, started, now_ns=clock.now_ns(), services=2)
        own = {name: state.pid for name, state in supervisor.services().items()}
        pids = {**own, **await server_pids(store, urls.redis_url), "bench": os.getpid()}
        yield bus, ProcessorTimes(pids, families=(POSTGRES,))
    finally:
        pricing.cancel()
        await asyncio.gather(pricing, return_exceptions=True)
        await supervisor.stop()
        await bus.close()
        await store.close()


async def _register(store: Store) -> None:
    shares = [
        Instrument(
            instrument_id=number, symbol=one.symbol, exchange="NSE", kind="EQUITY", market_class="equity",
            underlying=one.symbol, tick_size_paise=one.tick_size_paise, instrument_key=str(one.key),
        )
        for number, one in enumerate(LISTED)
    ]  # fmt: skip
    async with store.begin() as tx:
        await register_instruments(tx.connection, shares)


async def _prices(bus: RedisBus, clock: BenchClock) -> None:
    """A tick of each share every 50 ms, so that nobody has to wait for fresh data."""
    ticks = np.zeros(SHARES_MAX, TICK)
    ticks["instrument"], ticks["price_paise"] = np.arange(SHARES_MAX), PRICE_PAISE
    while True:
        now_ns = clock.now_ns()
        ticks["ts_event_ns"] = ticks["ts_received_ns"] = now_ns
        await bus.publish([Outgoing(_TICKS, "ticks", ticks.tobytes(), now_ns - 1, now_ns)])
        await asyncio.sleep(0.05)


def _spec(number: int, accounts: int) -> SessionSpec:
    return SessionSpec(
        session_id=f"bench-{number}", user_id=f"user-{number}", mode="live", broker=NAME,
        credential=f"login{number % accounts}", symbols=tuple(one.symbol for one in LISTED),
        strategies=(StrategySpec(name="orb"),), capital_paise=10**12,
        limits=RiskLimits(
            max_concurrent_trades=100, max_trades_per_symbol_per_day=100, order_timeout_seconds=3_600,
            max_lots_per_trade=1, cooldown_seconds=0, daily_max_loss_r=3.0, safe_trading_start="09:15",
            safe_trading_end="15:29", hard_trading_end="15:29",
        ),
    )  # fmt: skip


def _signal(clock: BenchClock, number: int, session: int) -> Outgoing:
    """The `number`-th opinion is of the share of that number: nobody enters twice where an entry rests."""
    now_ns = clock.now_ns()
    pos_id = derive_id(now_ns, "bench", number, session)
    signal = EntrySignal(
        event_id=derive_id(now_ns, "bench signal", number, session), ts_event_ns=now_ns, ts_recorded_ns=now_ns,
        source="strategy", trace_id=pos_id, session_id=f"bench-{session}", user_id=f"user-{session}", pos_id=pos_id,
        strategy="orb", symbol=LISTED[number].symbol, instrument=number, side=Side.LONG, price_paise=PRICE_PAISE,
        reason="bench", stop_paise=PRICE_PAISE * 99 // 100, confidence=0.5,
    )  # fmt: skip
    return Outgoing(SIGNALS.name, signal.TYPE, signal.to_json())
