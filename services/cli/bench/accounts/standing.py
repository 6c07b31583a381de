"""What stands while accounts are measured: the sandbox, execution, and one session of each face's account.

sandbox (kite, dhan, upstox) ◄─ execution ◄─ intents.v1 ◄─ bench ─► the sandbox's own address: a face hangs, answers
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from services.cli.bench.accounts.heard import PROTECTED, Heard
from services.cli.bench.accounts.intents import KEY, START, BenchIntents, TradedFuture, outgoing
from services.cli.brokers.sandbox_admin import SandboxAdmin, SandboxClock
from services.cli.brokers.sandbox_process import ADMIN, FACES, broker_addresses, sandbox_spec
from services.cli.stack.children import Child, ServiceSpec, free_port, started
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.bus.port import Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.risk import EntryApproved, ExitApproved
from tradebus.contracts.sessions import SessionSpec, StrategySpec
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.errors import Unavailable
from tradebus.runtime.embedded import ServerUrls
from tradebus.store.instruments import register_instruments
from tradebus.store.migrate import migrate
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

HANGING, OTHERS = "dhan", ("kite", "upstox")
DELAY_SECONDS = 12.0
WAIT_SECONDS = 90.0
_POLL_SECONDS = 0.1
_ALIVE = "SELECT count(*) FROM trades WHERE state NOT IN ('CLOSED', 'REJECTED', 'CANCELLED')"
_TAKEN_UP = "SELECT count(*) FROM session_participants"


class AccountsStack:
    """`execution` is started and killed by whoever measures."""

    def __init__(
        self, admin: SandboxAdmin, *, store: Store, bus: RedisBus, execution: Child, intents: BenchIntents, heard: Heard
    ) -> None:
        self.admin, self.store, self.bus, self.execution, self.heard = admin, store, bus, execution, heard
        self._intents = intents

    async def hang(self) -> None:
        """From now on every request of one face is answered late."""
        await self.admin.add_fault({"kind": "DELAY", "broker": HANGING, "seconds": DELAY_SECONDS})

    async def answer(self) -> None:
        """What comes to the face from now on is answered at once."""
        await self.admin.clear_faults()

    async def entry(self, face: str, *, valid_seconds: float = 60.0) -> EntryApproved:
        """Not sent yet."""
        last_paise = await self.admin.price_paise(KEY)
        return self._intents.entry(face, last_paise=last_paise, valid_seconds=valid_seconds)

    async def send(self, messages: Sequence[EntryApproved | ExitApproved]) -> None:
        await self.bus.publish([outgoing(message) for message in messages])

    async def leave(self, entries: Sequence[EntryApproved]) -> None:
        """Sends the exits."""
        await self.send([self._intents.exit_of(entry) for entry in entries])

    async def opened(self, face: str) -> EntryApproved:
        """A position whose stop rests at the broker; asked for again where execution lets none in yet."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                entry = await self.entry(face)
                await self.send([entry])
                word, _ = await self.heard.first(entry.pos_id or "", PROTECTED)
                if word == PROTECTED:
                    return entry
                await asyncio.sleep(_POLL_SECONDS)

    async def settled(self) -> None:
        """Returns once no trade lives any more. Raises Unavailable where some do not end."""
        await self._until(_ALIVE, 0, "trades that have not ended")

    async def taken_up(self) -> None:
        """Returns once execution has all sessions. Raises Unavailable."""
        await self._until(_TAKEN_UP, len(FACES), "sessions taken up")

    async def kill_execution(self) -> None:
        """As a machine would: at once."""
        with suppress(ProcessLookupError):
            os.kill(self.execution.pid, signal.SIGKILL)
        await self.execution.wait()

    async def _until(self, query: str, wanted: int, what: str) -> None:
        found = -1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while (found := await self.store.pool.fetchval(query)) != wanted:  # noqa: ASYNC110 - asks another process
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise Unavailable(f"bench accounts: {found} {what} after {WAIT_SECONDS:g} s") from None


@asynccontextmanager
async def standing(urls: ServerUrls, folder: Path, *, namespace: str) -> AsyncIterator[AccountsStack]:
    """Everything up and all three sessions taken up; ended again afterwards."""
    migrate(urls.database_url, namespace=namespace)
    spec, ports = sandbox_spec({
        "SEED": "1", "SPEED": "1", "START": START, "INSTRUMENTS": "60", "TICKS_PER_SECOND": "60", "LIMIT_SCALE": "0",
        "OPENING_PAISE": str(10**15),
    })  # fmt: skip
    sandbox = Child(spec, log=folder / "sandbox.log")
    store = await Store.connect(urls.database_url, namespace=namespace, producer="bench-1", timers=wall_timers())
    bus = await RedisBus.connect(urls.redis_url, namespace=namespace, timers=wall_timers())
    execution = hearing = None
    try:
        await started(sandbox, seconds=WAIT_SECONDS)
        async with SandboxAdmin(f"http://127.0.0.1:{ports[ADMIN]}") as admin:
            future, clock = await _future(admin), await admin.market_clock()
            async with store.begin() as tx:
                await register_instruments(tx.connection, [future.instrument])
            await _log_in(admin, folder)
            execution = Child(_execution(urls, folder, ports, clock, namespace=namespace), log=folder / "execution.log")
            heard = Heard(bus)
            hearing = asyncio.create_task(heard.run())
            made = AccountsStack(
                admin, store=store, bus=bus, execution=execution, intents=BenchIntents(future, clock), heard=heard
            )
            await started(execution, seconds=WAIT_SECONDS)
            await _start_sessions(made, future)
            yield made
    finally:
        if hearing is not None:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
        for child in (execution, sandbox):
            if child is not None:
                await child.stop()
        await bus.close()
        await store.close()


async def _future(admin: SandboxAdmin) -> TradedFuture:
    row = await admin.instrument(KEY)
    return TradedFuture(row["symbol"], row["lot_size"], row["tick_size_paise"])


async def _log_in(admin: SandboxAdmin, folder: Path) -> None:
    for face in FACES:
        account = face.upper()
        token = await admin.log_in(account, face)
        Credentials(folder).put(face, Credential(face, client_id=account, access_token=token, account=account))


def _execution(
    urls: ServerUrls, folder: Path, ports: dict[str, int], clock: SandboxClock, *, namespace: str
) -> ServiceSpec:
    health = free_port()
    environment = {
        **broker_addresses(ports), "DATABASE_URL": urls.database_url, "REDIS_URL": urls.redis_url,
        "TRADEBUS_NAMESPACE": namespace, "TRADEBUS_PACED": "0", "TRADEBUS_STATE_DIR": str(folder),
        "TRADEBUS_LOG_LEVEL": "warning", "TRADEBUS_HEALTH_PORT": str(health), "TRADEBUS_MARKET_CLOCK": clock.text,
        "EXECUTION_ORDER_LIMIT_SCALE": "1000",  # the sandbox has no limits here
    }  # fmt: skip
    return ServiceSpec("execution", [sys.executable, "-m", "services.execution.main"], health, environment)


async def _start_sessions(made: AccountsStack, future: TradedFuture) -> None:
    """What the gateway does for START_TRADING: sessions in the book, the commands on the bus."""
    for face in FACES:
        spec = SessionSpec(
            session_id=face, user_id=face, mode="live", broker=face, credential=face, symbols=(future.symbol,),
            strategies=(StrategySpec(name="orb"),), capital_paise=10**12,
        )  # fmt: skip
        await made.store.pool.execute(
            "INSERT INTO sessions (session_id, user_id, status, mode, spec, command_id, created_ns)"
            " VALUES ($1, $1, 'STARTING', 'live', $2, $1, 1)",
            face, spec.model_dump(mode="json"),
        )  # fmt: skip
        command = StartTrading(
            event_id=f"start {face}", ts_event_ns=1, ts_recorded_ns=1, source="bench", trace_id="bench",
            user_id=face, session_id=face, spec=spec,
        )  # fmt: skip
        await made.bus.publish([Outgoing(COMMANDS.name, command.TYPE, command.to_json())])
    await made.taken_up()
