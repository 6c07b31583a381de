"""A session on paper cannot reach an order API: nothing of it ever leaves, by whatever way it is tried. A real broker
is reached by a session that has passed every gate, and by none other."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from testkit.broker_life import BrokerLife
from testkit.execution_brokers import TEN, approval, exit_of, spec
from testkit.fake_broker import FakeBroker, opening
from testkit.gates import ACCOUNT, LOGIN, open_gates
from testkit.kite_orders import request
from testkit.scripted_server import Reply, ScriptedServer
from testkit.waiting import WALL_TIMERS

from services.execution.accounts.accounts import Accounts
from services.execution.accounts.router import OrderRouter
from services.execution.books import books_of
from services.execution.rehearsing.rehearsals import Rehearsals
from services.execution.settings import ExecutionSettings
from tradebus.brokers.account import SessionState
from tradebus.brokers.audit.spool import Spool
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.brokers.paper.gateway import PaperGateway
from tradebus.brokers.paper.memory import MemoryPaperBook
from tradebus.brokers.registry import open_broker
from tradebus.calendar import Contract
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import Mode, PaperSettings, SessionSpec
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.ids import RandomIds
from tradebus.preflight.live_accounts import LiveAccounts
from tradebus.preflight.preflight import PreflightFailed
from tradebus.store.broker_instruments import BrokerInstrument
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.trading.orders import OrderModification, Result

SHARE = Contract("INFY", "EQUITY", "equity", "INFY", 1, 5)
SHARE_LISTED = Instrument(
    instrument_id=1, symbol="INFY", kind="EQUITY", market_class="equity", underlying="INFY", tick_size_paise=5,
    instrument_key="NSE:INFY",
)  # fmt: skip
CHANGE = OrderModification(20, 150_000, None, at_ns=1)


def settings(state: Path, **given: Any) -> ExecutionSettings:
    return ExecutionSettings(
        database_url=SecretStr("postgresql://none"), redis_url=SecretStr("redis://none"), state_dir=state, **given
    )  # fmt: skip


def accounts(chosen: ExecutionSettings, opens: Any, spool: Spool) -> Accounts:
    books = books_of(MemoryBook(MemoryDatabase(), producer="execution-1"), timers=WALL_TIMERS)
    return Accounts(chosen, books, opens, log_of=spool.of, clock=WALL_TIMERS, timers=WALL_TIMERS)


def spool_in(folder: Path) -> Spool:
    return Spool(folder / "audit", name="execution-1", clock=WALL_TIMERS, ids=RandomIds())


@pytest.mark.parametrize("name", ["kite", "dhan", "upstox"])
@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.DRY_RUN])
async def test_nothing_of_a_session_that_is_not_live_reaches_the_wire(tmp_path: Path, name: str, mode: Mode) -> None:
    Credentials(tmp_path).put("mine", Credential(name, "key", access_token="tok"))
    with ScriptedServer(lambda _: Reply({"status": "success", "data": []})) as server:
        spool = spool_in(tmp_path)
        kept = accounts(settings(tmp_path, **{f"{name}_url": server.url}), open_broker, spool)
        sessions = {
            "on paper": spec("on paper", broker="paper").model_copy(update={"mode": mode, "credential": "mine"}),
            "forged": spec("forged", broker=name).model_copy(update={"mode": mode}),
        }

        async def spec_of(session_id: str) -> SessionSpec:
            return sessions[session_id]

        async def paper_settings(_: str) -> PaperSettings:
            return PaperSettings()

        router = OrderRouter(PaperGateway(MemoryPaperBook(), paper_settings), kept, spec_of, timers=WALL_TIMERS)
        for session in sessions:
            placed = await router.place(request(account=session, contract=SHARE, at_ns=TEN))
            assert (placed.result is Result.REFUSED) is (session == "forged")
            number = placed.broker_order_id or "1"
            await router.modify(session, number, CHANGE)
            await router.cancel(session, number, at_ns=2)
            await router.find_by_tag(session, "tb1")
            await router.order_book(session)
        with pytest.raises(InvalidInput, match="no way to a broker's orders"):
            await kept.of(sessions["forged"], starting=True)
        kept.close()
        assert server.asked == []
        assert spool.take().exchanges == []


async def test_a_paper_session_trades_without_a_broker_ever_being_opened(around) -> None:
    broker = FakeBroker()
    async with BrokerLife(around, broker) as life:
        await life.started(spec("s1", broker="paper"))
        entry = approval(1)
        await life.send(entry)
        await life.trade(pos_id=entry.pos_id)
        await life.send(exit_of(entry, at_ns=entry.ts_event_ns + 1))
        forged = spec("s2").model_copy(update={"mode": Mode.PAPER})
        await life.start(forged)
        assert "no way to a broker's orders" in await life.refusal("s2")
    assert broker.credentials == []
    assert broker.book.requests == []


NAMES = {
    "kite": ("408065", "NSE", "/orders/regular"), "dhan": ("1594", "NSE_EQ", "/v2/orders"),
    "upstox": ("NSE_EQ|INE009A01021", "NSE_EQ", "/v3/order/place"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_an_order_of_a_dry_run_says_what_would_have_left_and_nothing_does(tmp_path: Path, name: str) -> None:
    token, segment, path = NAMES[name]
    with ScriptedServer(lambda _: Reply({"status": "success", "data": []})) as server:
        spool, chosen = spool_in(tmp_path), settings(tmp_path, market_clock=f"{TEN}@0x0", **{f"{name}_url": server.url})
        books = books_of(MemoryBook(MemoryDatabase(), producer="execution-1"), timers=WALL_TIMERS)
        async with books.book.begin() as tx:
            await books.instruments.register(tx, [SHARE_LISTED])
        row = BrokerInstrument(1, "NSE:INFY", token, segment, "INFY", 1, 5, None)
        await books.listings.put_listed(name, [row], listed_on=date(2026, 11, 25))
        wanted = spec("s1", broker="paper").model_copy(
            update={"mode": Mode.DRY_RUN, "credential": None, "rehearsed_broker": name}
        )

        async def spec_of(_: str) -> SessionSpec:
            return wanted

        async def paper_settings(_: str) -> PaperSettings:
            return PaperSettings()

        kept = Accounts(chosen, books, open_broker, log_of=spool.of, clock=WALL_TIMERS, timers=WALL_TIMERS)
        rehearsals = Rehearsals(chosen, books, open_broker, log_of=spool.of, clock=WALL_TIMERS, timers=WALL_TIMERS)
        paper = PaperGateway(MemoryPaperBook(), paper_settings)
        router = OrderRouter(paper, kept, spec_of, timers=WALL_TIMERS, rehearsals=rehearsals)
        placed = await router.place(request(contract=SHARE, at_ns=TEN))
        unknown = await router.place(request(tag="tb2", instrument=9, symbol="NOWHERE", contract=SHARE, at_ns=TEN))
    shown = placed.would_send
    assert (placed.result, shown.problem, shown.method) == (Result.ACCEPTED, "", "POST")
    assert shown.url == server.url + path
    assert placed.broker_order_id == (await router.find_by_tag("s1", request().tag)).order.broker_order_id, "on paper"
    assert unknown.result is Result.ACCEPTED
    assert "NOWHERE is not listed" in unknown.would_send.problem
    assert server.asked == []


async def test_a_session_at_a_real_broker_starts_behind_every_gate_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    with open_gates(tmp_path) as (broker, fields):
        wanted = live()
        fields.pop("state_dir")
        first = accounts(settings(tmp_path, **fields), opening(broker), spool_in(tmp_path))
        with pytest.raises(InvalidInput, match="no session has passed preflight there"):
            await first.of(wanted)
        assert (await first.of(wanted, starting=True)).name == f"kite:{LOGIN}"
        assert f"kite:{LOGIN}" in LiveAccounts(tmp_path)
        (tmp_path / "drill.json").unlink()
        with pytest.raises(PreflightFailed, match="drill: it was never run here; run it"):
            await first.of(live("another"), starting=True)
        second = accounts(settings(tmp_path, **fields), opening(broker), spool_in(tmp_path))
        assert (await second.of(wanted)).name == f"kite:{LOGIN}", "positions are not left alone"


async def test_a_session_that_no_gate_lets_through_reaches_nothing(tmp_path: Path) -> None:
    with open_gates(tmp_path) as (broker, fields):
        broker.session.state = SessionState.EXPIRED
        fields.pop("state_dir")
        kept = accounts(settings(tmp_path, **fields), opening(broker), spool_in(tmp_path))
        with pytest.raises(PreflightFailed, match="fresh_token"):
            await kept.of(live(), starting=True)
        assert f"kite:{LOGIN}" not in LiveAccounts(tmp_path)
        assert kept.all() == []
        assert broker.book.requests == []


async def test_a_login_of_another_account_than_it_was_stored_for_is_refused_at_a_sandbox_too(tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.session.account = "XY9999"
    Credentials(tmp_path).put(LOGIN, Credential("kite", "key", access_token="t", account=ACCOUNT))
    kept = accounts(settings(tmp_path, kite_url="http://127.0.0.1:1"), opening(broker), spool_in(tmp_path))
    with pytest.raises(InvalidInput, match="stored for account AB1234 and is one of XY9999"):
        await kept.of(live(), starting=True)
    broker.session.account = ACCOUNT
    later = accounts(settings(tmp_path, kite_url="http://127.0.0.1:1"), opening(broker), spool_in(tmp_path))
    assert (await later.of(live(), starting=True)).name == f"kite:{LOGIN}"


def live(session_id: str = "s1") -> SessionSpec:
    wanted = spec(session_id, credential=LOGIN)
    return wanted.model_copy(update={"limits": wanted.limits.model_copy(update={"daily_max_loss_r": 3.0})})
