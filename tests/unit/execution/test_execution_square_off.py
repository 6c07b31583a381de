"""Nobody closes a position at its hard end, because risk is dead: execution does, once, and says so. On the twins."""

from datetime import date, time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.execution_around import Around, Life, until
from testkit.execution_books import begin, register
from testkit.execution_service import SECOND, approval, exit_of, intent, slice_of, spec

from services.execution.trades.square_off import overdue
from tradebus.calendar import contract_of, session_for
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.orders import OrderRole, SquareOffForced
from tradebus.contracts.sessions import RiskLimits, ScopeLimits, StrategySpec
from tradebus.execution.opening import open_trade
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Trade
from tradebus.kernel.time import ist_to_ns
from tradebus.kernel.timers import SimulatedTimers
from tradebus.runtime.rendering import fact_of
from tradebus.trading.facts import EntryApproved
from tradebus.trading.states import TradeState

DAY = date(2024, 1, 1)
SESSION = session_for(DAY, "derivative")
assert SESSION is not None
CLOSE_NS, HARD_END_NS = SESSION.close_ns, SESSION.square_off_ns
OPENED_NS = ist_to_ns(DAY, time(15))
GRACE_NS = 60 * SECOND
X = Instrument(
    instrument_id=1, symbol="X", exchange="NSE", kind="FUTURE", market_class="derivative", underlying="NIFTY",
    lot_size=25, tick_size_paise=5,
)  # fmt: skip


def held(*, opened_ns: int = OPENED_NS) -> Trade:
    fact = fact_of(approval(1, at_ns=opened_ns))
    assert isinstance(fact, EntryApproved)
    trade = open_trade(fact, TradeStep(), contract=contract_of(X, DAY), owner="execution-1", at_ns=opened_ns)
    trade.opened_ns, trade.entry_quantity = opened_ns, 100
    return trade


def late(
    now_ns: int, *, opened_ns: int = OPENED_NS, grace_ns: int = GRACE_NS, strategy_end: str | None = None, **limits: str
) -> int | None:
    trade, whole = held(opened_ns=opened_ns), spec()
    own = StrategySpec(name=trade.strategy, limits=ScopeLimits(hard_trading_end=strategy_end))
    another = StrategySpec(name="another", limits=ScopeLimits(hard_trading_end="10:00"))
    given = whole.model_copy(update={"limits": RiskLimits(**limits), "strategies": (another, own)})  # type: ignore[arg-type]
    return overdue(trade, given, now_ns, grace_ns=grace_ns)


def test_a_position_is_overdue_a_grace_after_its_hard_end_until_the_close() -> None:
    assert late(HARD_END_NS) is None
    assert late(HARD_END_NS + GRACE_NS - 1) is None
    assert late(HARD_END_NS + GRACE_NS) == HARD_END_NS
    assert late(CLOSE_NS - 1) == HARD_END_NS
    assert late(CLOSE_NS) is None  # an exit out of hours would be refused all night


def test_the_sessions_own_hard_end_counts() -> None:
    own_ns = ist_to_ns(DAY, time(15, 5))
    assert late(own_ns + GRACE_NS - 1, hard_trading_end="15:05") is None
    assert late(own_ns + GRACE_NS, hard_trading_end="15:05") == own_ns


def test_a_strategys_own_hard_end_counts_where_it_is_earlier() -> None:
    own_ns = ist_to_ns(DAY, time(15, 5))
    assert late(own_ns + GRACE_NS, strategy_end="15:05") == own_ns
    assert late(own_ns + GRACE_NS, strategy_end="15:10", hard_trading_end="15:05") == own_ns
    assert late(HARD_END_NS + GRACE_NS, strategy_end="15:29") == HARD_END_NS


@given(st.integers(0, 3_600), st.integers(0, 19))
def test_whatever_the_grace_there_is_time_left_before_the_broker_closes_it(grace_seconds: int, minute: int) -> None:
    end = f"15:{minute:02}"
    hard_end_ns = ist_to_ns(DAY, time.fromisoformat(end))
    found = [
        now_ns for now_ns in range(hard_end_ns, CLOSE_NS, 30 * SECOND)
        if late(now_ns, grace_ns=grace_seconds * SECOND, hard_trading_end=end) is not None
    ]  # fmt: skip
    assert found
    left_ns = SESSION.brokers_square_off_ns - hard_end_ns
    assert left_ns > 0
    assert found[0] >= hard_end_ns + min(grace_seconds * SECOND, left_ns // 2)
    assert found[0] < hard_end_ns + left_ns // 2 + 30 * SECOND
    assert found == list(range(found[0], CLOSE_NS, 30 * SECOND))


def test_a_position_of_another_day_is_given_the_grace_from_the_open_on() -> None:
    next_day = session_for(date(2024, 1, 2), "derivative")
    assert next_day is not None
    assert late(next_day.open_ns) is None
    assert late(next_day.open_ns + GRACE_NS) == HARD_END_NS
    assert late(CLOSE_NS + 3_600 * SECOND) is None


class Afternoon:
    """Execution with one open position at 15:00, the market's clock in the test's hand; risk is the test as well."""

    def __init__(self, tmp_path: Path) -> None:
        self.clock = SimulatedTimers(OPENED_NS)
        self.around = Around.memory(state_dir=tmp_path, clock=self.clock)
        self.entry = approval(1, at_ns=OPENED_NS)

    async def opened(self) -> Life:
        await register(self.around.book, X)
        await begin(self.around.book, spec())
        life = await self.around.life()
        await self.tick(OPENED_NS - 60 * SECOND)
        await self.around.publish(intent(self.entry))
        await until(self.around.hands.trades, life)
        await self.tick(OPENED_NS)
        await until(self.holding, life)
        return life

    async def tick(self, start_ns: int) -> None:
        """A minute of ticks, published as the market's clock says."""
        self.clock.advance(start_ns + 60 * SECOND)
        await self.around.publish(slice_of(start_ns, [10_000] * 50))

    async def trade(self) -> Trade:
        (trade,) = await self.around.hands.trades()
        return trade

    async def holding(self) -> bool:
        return (await self.trade()).state is TradeState.POSITION_OPEN

    async def closed(self) -> bool:
        return (await self.trade()).state is TradeState.CLOSED

    async def leaving(self) -> bool:
        return (await self.trade()).exit_reason is not None

    async def forced(self) -> list[SquareOffForced]:
        return [one for one in await self.around.told("SQUARE_OFF_FORCED") if isinstance(one, SquareOffForced)]


@pytest.fixture
def afternoon(tmp_path: Path) -> Afternoon:
    return Afternoon(tmp_path)


async def test_a_position_that_nobody_closes_is_closed_and_people_are_told(afternoon: Afternoon) -> None:
    async with await afternoon.opened() as life:
        afternoon.clock.advance(HARD_END_NS + GRACE_NS + SECOND)  # no tick says so
        await until(afternoon.leaving, life)
        trade = await afternoon.trade()
        (told,) = await until(afternoon.forced, life)
        assert (trade.exit_reason, told.pos_id, told.quantity, told.hard_end_ns) == (
            "square_off", trade.pos_id, trade.open_quantity, HARD_END_NS,
        )  # fmt: skip
        assert HARD_END_NS + GRACE_NS <= told.ts_event_ns < CLOSE_NS
        await afternoon.tick(HARD_END_NS + 120 * SECOND)
        await until(afternoon.closed, life)


async def test_risk_that_comes_back_finds_nothing_to_do(afternoon: Afternoon) -> None:
    async with await afternoon.opened() as life:
        afternoon.clock.advance(HARD_END_NS + GRACE_NS + SECOND)
        await until(afternoon.leaving, life)
        late_exit = exit_of(afternoon.entry, at_ns=HARD_END_NS + 90 * SECOND)
        await afternoon.around.publish(intent(late_exit), intent(late_exit))

        async def taken() -> bool:
            return late_exit.intent_id in await afternoon.around.hands.outcomes()

        await until(taken, life)
        await afternoon.tick(HARD_END_NS + GRACE_NS + 2 * SECOND)
        await until(afternoon.closed, life)
        trade = await afternoon.trade()
        assert trade.exit_reason == "square_off"
        assert sum(order.role is OrderRole.EXIT for order in trade.orders) == 1
        assert (trade.exit_quantity, trade.open_quantity) == (trade.entry_quantity, 0)
        assert len(await afternoon.forced()) == 1


async def test_where_risk_asks_in_time_execution_says_nothing(afternoon: Afternoon) -> None:
    async with await afternoon.opened() as life:
        afternoon.clock.advance(HARD_END_NS)
        await afternoon.around.publish(intent(exit_of(afternoon.entry, at_ns=HARD_END_NS)))
        await until(afternoon.leaving, life)
        afternoon.clock.advance(HARD_END_NS + 2 * GRACE_NS)
        await afternoon.tick(HARD_END_NS + 2 * GRACE_NS)
        await until(afternoon.closed, life)
    assert (await afternoon.trade()).exit_reason == "exit_signal"
    assert await afternoon.forced() == []


async def test_an_instance_squares_off_what_it_has_adopted(afternoon: Afternoon) -> None:
    async with await afternoon.opened() as life:
        await life.kill()

    async def adopted() -> bool:
        return (await afternoon.trade()).owner == "execution-2"

    async with await afternoon.around.life(instance="2") as other:
        await until(adopted, other)
        afternoon.clock.advance(HARD_END_NS + GRACE_NS + SECOND)
        await until(afternoon.leaving, other)
        assert len(await until(afternoon.forced, other)) == 1
