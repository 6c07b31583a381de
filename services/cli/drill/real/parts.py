"""The parts of risk and the gateway in a real drill: approvals of one session, its start, its stop and its end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from services.cli.drill.real.judging import trades_of
from services.cli.drill.real.plan import RealFlatten, RealRun, RealTrade
from services.cli.drill.real.standing import RealStack
from services.cli.drill.running.people import is_held, is_meant
from services.cli.drill.running.plan import POSITION, SYMBOL
from services.gateway.killswitch import engage
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.calendar import tick_of
from tradebus.contracts.base import Message
from tradebus.contracts.commands import Flatten, StartTrading, StopTrading
from tradebus.contracts.risk import EntryApproved, ExitApproved
from tradebus.contracts.sessions import Mode, SessionSpec, SessionStatus, StrategySpec
from tradebus.contracts.signals import Side
from tradebus.contracts.streams import COMMANDS, INTENTS, key_of
from tradebus.execution.trade import Trade
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import derive_id
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.runtime.patience import PASSING
from tradebus.store.books import kill_switch_book, session_register
from tradebus.store.outbox import Outbox
from tradebus.store.store import PostgresTransaction

T = TypeVar("T")
_VALID_SECONDS, _TIMEOUT_SECONDS = 20, 8
_SHARES = 100  # of a lot of the share that has none
_BEYOND = 0.002  # an entry's limit: it fills at once
_OPTION_TIMES = 8.0  # an option moves so many times as far
_LOOK_SECONDS = 0.5


@dataclass(slots=True)
class RealParts:
    """Of one run. `outbox` is everybody's; servers that are away are asked until they are back. `flattened` is what a
    FLATTEN meant, `spared` what of its session it did not mean."""

    run: RealRun
    stack: RealStack
    outbox: Outbox
    approvals: list[EntryApproved] = field(default_factory=list)
    flattened: set[str] = field(default_factory=set)
    spared: set[str] = field(default_factory=set)

    async def start(self) -> None:
        """Logs in at the exchange and starts the session."""
        run, stack = self.run, self.stack
        token = await stack.admin.log_in(run.account, run.face)
        credential = Credential(run.face, client_id=run.account, access_token=token, account=run.account)
        await asyncio.to_thread(Credentials(stack.folder).put, run.session, credential)
        spec = SessionSpec(
            session_id=run.session, user_id=run.session, mode=Mode.LIVE, broker=run.face, credential=run.session,
            data_broker=run.face, symbols=tuple(one.symbol for one in stack.instruments.values()),
            strategies=(StrategySpec(name="drill"),), capital_paise=10**9,
        )  # fmt: skip
        command = StartTrading(**self._envelope("start"), source="gateway", spec=spec)
        register = session_register(stack.store)

        async def begun(transaction: PostgresTransaction) -> None:
            now_ns = stack.clock.now_ns()
            await register.insert(transaction, spec, command_id=f"c-{run.session}", now_ns=now_ns)
            await register.begin(transaction, run.session, SessionStatus.RUNNING)
            transaction.emit(COMMANDS.name, command)

        await self._commit(begun)

    async def trade(self, planned: RealTrade) -> None:
        """Approves the entry at the price of now, and its exit where one is planned."""
        await asyncio.sleep(planned.at_seconds)
        entry = await self._entry(planned)
        self.approvals.append(entry)
        await self._say(key_of(INTENTS), entry)
        if planned.exit_after is not None:
            await asyncio.sleep(planned.exit_after)
            leaving = ExitApproved(
                **self._envelope("exit", len(self.approvals)), source="risk", pos_id=entry.pos_id,
                intent_id=f"x{entry.intent_id}", strategy=entry.strategy, symbol=entry.symbol,
                instrument=entry.instrument, side=entry.side, rule="exit_signal", reason="drill",
            )  # fmt: skip
            await self._say(key_of(INTENTS), leaving)

    async def flatten(self, planned: RealFlatten) -> None:
        """FLATTEN of the session, or of its first position's symbol, or of that one."""
        await asyncio.sleep(planned.at_seconds)

        async def looked() -> list[Trade]:
            return [one for one in (await trades_of(self.stack, self.run.session)).values() if is_held(one)]

        held = await self._until_done(looked)
        first = held[0] if held else None
        given_ns = WallClock().now_ns()  # commands are stamped by the machine
        command = Flatten(
            **{**self._envelope("flatten"), "ts_event_ns": given_ns, "ts_recorded_ns": given_ns}, source="gateway",
            symbol=first.symbol if first is not None and planned.scope == SYMBOL else None,
            pos_id=first.pos_id if first is not None and planned.scope == POSITION else None,
        )  # fmt: skip
        await self._say(COMMANDS.name, command)
        self.flattened |= {one.pos_id for one in held if is_meant(one, command)}
        self.spared |= {one.pos_id for one in held} - self.flattened

    async def kill(self) -> None:
        """KILL of everything, as the gateway gives it."""
        switch = kill_switch_book(self.stack.store)

        async def engaged(transaction: PostgresTransaction) -> None:
            await engage(switch, transaction, reason="drill", now_ns=WallClock().now_ns())

        await self._commit(engaged)

    async def release(self) -> None:
        """A person lets entries through again."""
        switch = kill_switch_book(self.stack.store)

        async def released(transaction: PostgresTransaction) -> None:
            await switch.release(transaction, reason="drill", at_ns=WallClock().now_ns())

        await self._commit(released)

    async def stop(self) -> None:
        """STOP_TRADING, as the gateway gives it and risk takes it."""
        command = StopTrading(**self._envelope("stop"), source="gateway")
        register = session_register(self.stack.store)

        async def stopping(transaction: PostgresTransaction) -> None:
            await register.set_status(transaction, self.run.session, SessionStatus.STOPPING)
            await transaction.first_time("risk", command.event_id)
            transaction.emit(COMMANDS.name, command)

        await self._commit(stopping)

    async def end(self) -> None:
        """Waits until nothing more may happen in it, and says STOPPED, as the gateway does."""
        store, session = self.stack.store, self.run.session
        register = session_register(store)

        async def over() -> bool:
            return not await register.unfinished(session) and not await register.awaits_look(session)

        while not await self._until_done(over):  # noqa: ASYNC110 - asks another process
            await asyncio.sleep(_LOOK_SECONDS)

        async def ended(transaction: PostgresTransaction) -> None:
            await register.end(
                transaction, session, SessionStatus.STOPPED, seen=SessionStatus.STOPPING,
                now_ns=self.stack.clock.now_ns(), reason="drill",
            )  # fmt: skip

        await self._commit(ended)

    async def _entry(self, planned: RealTrade) -> EntryApproved:
        one = self.stack.instruments[planned.name]
        last, lot = await self.stack.admin.price_paise(str(one.instrument_key)), one.lot_size or 1
        side = Side.LONG if planned.is_long else Side.SHORT
        times = _OPTION_TIMES if one.kind == "OPTION" else 1.0
        envelope = self._envelope("entry", len(self.approvals))
        tick = tick_of(one, ist_date(envelope["ts_event_ns"]), price_paise=last)
        pos_id = derive_id(envelope["ts_event_ns"], "real drill", self.run.session, len(self.approvals))
        return EntryApproved(
            **envelope, source="risk", pos_id=pos_id, signal_id=f"g{pos_id}", strategy="drill", symbol=one.symbol,
            instrument=one.instrument_id, side=side, rule="all_passed", intent_id=f"i{pos_id}",
            quantity=planned.lots * (lot if lot > 1 else _SHARES), lot_size=lot, tick_size_paise=tick,
            price_paise=int(last * (1 + side.sign * times * _BEYOND)) // tick * tick,
            stop_paise=int(last * (1 - side.sign * times * planned.stop_share)) // tick * tick,
            valid_until_ns=envelope["ts_event_ns"] + _VALID_SECONDS * NANOSECONDS_PER_SECOND, max_slippage_pct=0.5,
            order_timeout_seconds=_TIMEOUT_SECONDS,
        )  # fmt: skip

    def _envelope(self, *what: object) -> dict[str, Any]:
        at_ns, run = self.stack.clock.now_ns(), self.run
        return {
            "event_id": derive_id(at_ns, "real drill", run.session, *map(str, what)), "ts_event_ns": at_ns,
            "ts_recorded_ns": at_ns, "trace_id": run.session, "session_id": run.session, "user_id": run.session,
        }  # fmt: skip

    async def _say(self, stream: str, message: Message) -> None:
        async def emitted(transaction: PostgresTransaction) -> None:
            transaction.emit(stream, message)

        await self._commit(emitted)

    async def _commit(self, work: Callable[[PostgresTransaction], Awaitable[None]]) -> None:
        """What it does is done once: a commit whose answer was lost is seen by whoever reads it, and by its ids."""

        async def done() -> None:
            async with self.stack.store.begin() as transaction:
                await work(transaction)

        await self._until_done(done)
        await self._until_done(self.outbox.flush)

    async def _until_done(self, work: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await work()
            except PASSING:
                await asyncio.sleep(_LOOK_SECONDS)
