"""What other platforms are known to do wrong with orders, each as a run here."""

from pathlib import Path

from testkit.broker_life import opened, trading
from testkit.drill import MORNING, drilled, trade, violated, written_plan
from testkit.execution_around import Around, until
from testkit.execution_books import begin, register
from testkit.execution_brokers import approval
from testkit.execution_service import MORNING as FIRST_SECOND
from testkit.execution_service import SECOND, intent, slice_of
from testkit.execution_service import approval as paper_approval
from testkit.execution_service import spec as paper_spec
from testkit.fake_broker import FakeBroker

from services.cli.drill.running.plan import EXECUTION, DrillPlan, PlannedEvent
from services.cli.drill.running.play import DrillResult, DrillRun, drill_settings
from services.cli.drill.simulation.points import ANSWERED, ASKING, Strike
from services.sandbox.ports import SandboxOrder, SandboxStatus
from tradebus.bus.port import Outgoing
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import Transaction
from tradebus.contracts.records import TICK, decode
from tradebus.kernel.time import datetime_to_ns
from tradebus.trading.states import TradeState

__all__ = ["drilled"]
INDEX_PAISE, OPTION_PAISE = 2_600_000, 10_000
OPTION = Instrument(
    instrument_id=1, symbol="X", exchange="NFO", kind="OPTION", market_class="derivative", underlying="NIFTY",
    tick_size_paise=5, instrument_key="NFO:NIFTY:2024-01-25:2600000:CE", strike_paise=INDEX_PAISE, right="CE",
    lot_size=25,
)  # fmt: skip
INDEX = Instrument(
    instrument_id=2, symbol="NIFTY", exchange="INDEX", kind="INDEX", market_class="equity", underlying="NIFTY",
    tick_size_paise=5, instrument_key="INDEX:NIFTY",
)  # fmt: skip


def played(plan: DrillPlan, folder: Path) -> tuple[DrillResult, DrillRun]:
    run = DrillRun(plan, state_dir=folder, settings=drill_settings())
    return run.play(), run


def changes_until(run: DrillRun, seconds: float) -> list[SandboxOrder]:
    """Everything that the exchange told in the run's first seconds."""
    until_ns = datetime_to_ns(MORNING) + round(seconds * SECOND)
    return [change for change in run.record.changes if change.updated_ns < until_ns]


def test_a_warm_restart_keeps_all_fourteen_orders_that_work(drilled: Path) -> None:
    # Fourteen stops rest as the process is killed, about to read the broker's book; the next life comes a second later.
    trades = [trade(number, name="future", at=1.0 + 0.3 * number) for number in range(14)]
    plan = written_plan(
        *trades, strikes=(Strike(EXECUTION, ASKING, 4, words="orders"),), restart_seconds=(1.0, 1.0)
    )  # fmt: skip
    result, run = played(plan, drilled)
    assert violated(result) == []
    assert result.kills == 1
    before_stop = changes_until(run, 22.0)
    stops = [one for one in before_stop if one.request.transaction is Transaction.SELL]
    assert len({one.order_id for one in stops}) == 14
    assert {one.status for one in stops} == {SandboxStatus.TRIGGER_PENDING}
    assert result.orders == 28, "none was cancelled, none placed anew"


def test_a_fill_while_nobody_ran_is_not_answered_by_an_opposite_one(drilled: Path) -> None:
    killed = Strike(EXECUTION, ANSWERED, 1, words="(ENTRY")  # it has left, and fills while nobody runs
    plan = written_plan(trade(name="future"), strikes=(killed,), restart_seconds=(5.0, 5.0))
    result, run = played(plan, drilled)
    assert violated(result) == []
    assert result.kills == 1
    sold = [one for one in changes_until(run, 22.0) if one.request.transaction is Transaction.SELL]
    assert {(one.status, one.filled_quantity) for one in sold} == {(SandboxStatus.TRIGGER_PENDING, 0)}
    assert result.orders == 2


def test_a_stop_that_fills_while_nobody_ran_is_followed_by_nothing(drilled: Path) -> None:
    killed = Strike(EXECUTION, ASKING, 3, words="orders")  # ten seconds into the run
    plan = written_plan(
        trade(name="future", stop_share=0.004), strikes=(killed,), restart_seconds=(5.0, 5.0),
        events=(PlannedEvent("shock", 12.0, share=-0.02),),
    )  # fmt: skip
    result, run = played(plan, drilled)
    assert violated(result) == []
    assert result.kills == 1
    sold = [one for one in changes_until(run, 14.0) if one.request.transaction is Transaction.SELL]
    assert sold[-1].status in (SandboxStatus.COMPLETE, SandboxStatus.OPEN)
    assert result.orders == 2, "the stop that was hit, and no exit beside it"


async def test_an_option_fills_and_stops_at_its_own_price_and_never_at_the_indexs(tmp_path: Path) -> None:
    around = Around.memory(state_dir=tmp_path)
    await register(around.book, OPTION, INDEX)
    await begin(around.book, paper_spec())

    def both(minute: int, index_paise: int, option_paise: int) -> Outgoing:
        start_ns = FIRST_SECOND + minute * 60 * SECOND
        made = slice_of(start_ns, [index_paise, option_paise] * 10)
        ticks = decode(made.body, TICK).copy()
        ticks["instrument"] = [INDEX.instrument_id, OPTION.instrument_id] * 10
        return Outgoing(
            made.stream, "ticks", ticks.tobytes(), watermark_ns=made.watermark_ns, slice_start_ns=made.slice_start_ns
        )

    async with await around.life() as life:
        await around.publish(intent(paper_approval(1, at_ns=FIRST_SECOND)))
        await around.publish(both(0, INDEX_PAISE, OPTION_PAISE))

        async def held() -> bool:
            return any(one.entry_quantity == 100 for one in await around.hands.trades())

        await until(held, life)
        await around.publish(both(1, INDEX_PAISE // 2, OPTION_PAISE))  # the index falls through any stop there is

        async def seen() -> bool:
            return (await around.hands.trades())[0].as_of_ns > FIRST_SECOND + 60 * SECOND

        await until(seen, life)
        [held_trade] = await around.hands.trades()
        assert held_trade.state is TradeState.POSITION_OPEN
        assert abs(held_trade.entry_price_paise - OPTION_PAISE) <= 50
        assert (held_trade.highest_paise or 0) < 2 * OPTION_PAISE
        await around.publish(both(2, INDEX_PAISE, 9_800))  # below the option's own stop

        async def closed() -> bool:
            return (await around.hands.trades())[0].state is TradeState.CLOSED

        await until(closed, life)
        [over] = await around.hands.trades()
        assert over.exit_reason == "stop"
        assert abs(over.exit_price_paise - 9_800) <= 100


async def test_closing_one_strategys_position_leaves_the_others_lots(around: Around) -> None:
    broker, mine = FakeBroker(), approval(1)
    others = approval(2).model_copy(update={"strategy": "another"})
    async with trading(around, broker) as life:
        await opened(life, broker, mine)
        stop = await opened(life, broker, others)
        await life.leave(broker, mine)
        await life.time_passes(1)
        [kept] = await life.trades(pos_id=others.pos_id)
        assert (kept.state, kept.open_quantity, kept.exit_reason) == (TradeState.POSITION_OPEN, 65, None)
        assert (await life.order("STOP", "TRIGGER_PENDING", of=others)).order_id == stop.order_id
    assert stop.broker_order_id is not None
    resting = [one for one in broker.book.orders.values() if not one.status.final]
    assert [(one.broker_order_id, one.quantity) for one in resting] == [(stop.broker_order_id, 65)]
    assert sum(row.quantity for row in broker.book.positions()) == 65
