"""The service among a market that is late, torn or dead, and sessions that are broken. On the twins."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from testkit.risk import OTHER, SECOND, STOCK, at, entry, every_second, exit_signal, opened, spec, ticks
from testkit.risk_service import Around
from testkit.waiting import WALL_TIMERS

from services.risk.messages import INTENTS_STREAM
from tradebus.bus.memory.bus import MemoryBus
from tradebus.contracts.base import Message
from tradebus.contracts.commands import Flatten, Kill, StopTrading
from tradebus.contracts.market import DataGap, DataRecovered
from tradebus.contracts.streams import COMMANDS, MD_TICKS, SIGNALS
from tradebus.kernel.clock import EventClock
from tradebus.runtime.market_time import MarketTime


class Machine:
    """A clock that is set by hand."""

    def __init__(self, now_ns: int) -> None:
        self.ns = now_ns

    def now_ns(self) -> int:
        return self.ns


async def exits(around: Around) -> list[Message]:
    return [intent for intent in await around.intents() if intent.TYPE == "EXIT_APPROVED"]


async def has_refused(around: Around, number: int) -> bool:
    return len(await around.refusals()) >= number


async def test_the_hard_end_comes_with_market_data_dead(around: Around) -> None:
    life = await around.life()
    await around.session(spec(hard_trading_end="15:00"))
    # The last slice of the market ends as its last moment comes; nothing follows it.
    await around.slice(ticks(), start_ns=at("14:59"), end_ns=at("15:00") - SECOND // 2)
    await around.tell(entry("p1", ts_ns=at("14:59:01")), opened("p1", ts_ns=at("14:59:02")))
    (leave,) = await around.until(lambda: exits(around))
    assert (leave.rule, leave.pos_id) == ("hard_trading_end", "p1")
    assert at("15:00") <= leave.ts_event_ns < at("15:01")
    assert life.failure() is None


async def test_the_hard_end_comes_in_the_life_after_the_datas_death(around: Around) -> None:
    life = await around.life()
    await around.session(spec(hard_trading_end="15:00"))
    await around.tell(entry("p1", ts_ns=at("14:59:01")), opened("p1", ts_ns=at("14:59:02")))
    await around.slice(ticks((at("14:59:58"), 1, 50_000)), start_ns=at("14:59"), end_ns=at("15:00") - SECOND // 2)
    await around.until(lambda: is_free(life.bus))
    await life.crash()
    await around.life()
    (leave,) = await around.until(lambda: exits(around))
    assert leave.rule == "hard_trading_end"


async def is_free(bus: Any) -> bool:
    return all(not group.unacknowledged for group in await bus.groups(MD_TICKS.shard(0)))


async def test_paced_the_clock_closes_nothing(tmp_path: Path) -> None:
    around = Around.memory(state_dir=tmp_path, paced=True)
    await around.prepare()
    life = await around.life(paced=True)
    assert [type(one).__name__ for one in life.wired.watches] == ["KillWatch"]
    await life.stop()


def test_the_markets_time_goes_on_from_its_newest_slice() -> None:
    machine = Machine(5_000_000_000)
    market = MarketTime(EventClock(77), machine=machine, speed=2.0)
    assert market.now_ns(is_live=False) is None
    assert market.now_ns(is_live=True) == 77  # nothing heard: a live market's clock is known
    market.remember(at("10:00"), "1000-0")
    market.remember(at("09:00"), "99999999999999-0")  # of no clock we know
    assert market.now_ns(is_live=True) == at("10:00") + 8 * SECOND
    market.heard(at("11:00"), "4000-0")
    market.remember(at("10:30"), "2000-0")
    assert market.now_ns(is_live=False) == at("11:00") + 2 * SECOND
    machine.ns = 3_000_000_000  # set back: the market does not go back
    assert market.now_ns(is_live=False) == at("11:00")
    assert market.data_ns == at("11:00")


def gap(model: type[Message], gap_id: str, *numbers: int, **fields: Any) -> Message:
    return model(
        event_id=f"{model.TYPE}-{gap_id}", ts_event_ns=at("10:00"), ts_recorded_ns=1, source="test", trace_id="t",
        broker="kite", instruments=numbers, symbols=("S",), from_ns=at("09:59"), gap_id=gap_id, exchange="NSE",
        market_class="equity", **fields,
    )  # fmt: skip


async def test_entries_wait_where_data_is_missing_and_exits_do_not(around: Around) -> None:
    await around.life()
    await around.session(spec())
    await around.tell(entry("p1"), opened("p1"))
    torn = gap(DataGap, "g1", STOCK.instrument_id, reason="silent")
    await around.hands.gap("g1", [STOCK.instrument_id], filled=False)
    await around.publish(torn)
    await around.until(lambda: are_read(around))
    await around.publish(entry("p2", ts_ns=at("10:01"), strategy="ema"), exit_signal("p1"))
    await around.until(lambda: exits(around))
    (blocked,) = await around.refusals()
    assert (blocked.rule, blocked.pos_id) == ("data_gap", "p2")
    # The next life knows of it, and of its end.
    await around.lives[0].crash()
    await around.life()
    await around.publish(entry("p3", ts_ns=at("10:02"), strategy="ema"))
    await around.until(lambda: has_refused(around, 2))
    await around.hands.gap("g1", [STOCK.instrument_id], filled=True)
    await around.publish(gap(DataRecovered, "g1", STOCK.instrument_id, to_ns=at("10:03"), candles_corrected=0))
    await around.until(lambda: are_read(around))
    await around.tell(entry("p4", ts_ns=at("10:04"), strategy="ema"))
    assert (await around.intents())[-1].pos_id == "p4"


async def are_read(around: Around) -> bool:
    groups = await around.bus.groups("md.gaps.v1")
    return bool(groups) and all(not group.unacknowledged for group in groups)


async def test_an_exit_that_was_read_and_put_aside_is_asked_for_again_less_and_less_often(around: Around) -> None:
    life = await around.life(look_seconds=0.05)
    await around.session(spec())
    await around.tell(entry("p1"), opened("p1"))
    await around.taken(*await around.intents())
    reader = await around.bus.subscribe([INTENTS_STREAM], group="execution", consumer="e")
    await around.publish(exit_signal("p1"))

    async def asked(number: int) -> list[Message]:
        await reader.ack(await reader.read(block_ms=0))  # read, and answered by nothing
        found = await exits(around)
        return found if len(found) >= number else []

    found = await around.until(lambda: asked(4))
    assert len({one.event_id for one in found}) == 1
    await around.taken(found[0])
    assert life.failure() is None


async def test_a_session_whose_row_cannot_be_read_is_put_aside_alone(around: Around) -> None:
    first = await around.life()
    for name in ("session-1", "session-2"):
        await around.session(spec(name))
        await around.tell(entry("p-" + name, session_id=name), opened("p-" + name, session_id=name))
    await first.stop()
    await around.hands.spoil("session-1")
    life = await around.life()
    await around.publish(entry("p3", session_id="session-1", ts_ns=at("10:05")))
    await around.command(Kill, None, number=at("10:10"), reason="enough")
    (leave,) = await around.until(lambda: exits(around))
    assert leave.session_id == "session-2"
    (letter,) = await around.bus.dead_letters(SIGNALS.name, count=10)
    assert "session-1 is put aside" in letter.reason
    # Whoever pressed KILL is told what it could not close: the gateway says aloud what is put aside.
    (kill,) = await around.until(lambda: around.bus.dead_letters(COMMANDS.name, count=10))
    assert "session-1" in kill.reason
    assert "session-2" not in kill.reason
    assert "close their positions at the broker" in kill.reason
    assert around.registry.get_sample_value("tradebus_risk_sessions_aside") == 1
    assert life.failure() is None


@pytest.mark.parametrize("command", [StopTrading, Flatten])
async def test_a_command_for_a_session_whose_row_cannot_be_read_is_taken_and_said_to_close_nothing(
    around: Around, command: type[Message]
) -> None:
    first = await around.life()
    await around.session(spec("session-1"))
    await around.tell(entry("p1"), opened("p1"))
    await first.stop()
    await around.hands.spoil("session-1")
    life = await around.life()
    told = await around.command(command, "session-1", number=at("10:10"))
    (letter,) = await around.until(lambda: around.bus.dead_letters(COMMANDS.name, count=10))
    assert "session-1 is put aside" in letter.reason
    assert await around.hands.handled([told.event_id]) == 1, "the session's end waits for risk's word"
    assert life.failure() is None


async def test_risk_that_was_away_for_longer_than_the_stream_keeps_catches_up(tmp_path: Path) -> None:
    around = Around.memory(state_dir=tmp_path)
    around.bus = MemoryBus(max_entries={MD_TICKS.name: 5}, timers=WALL_TIMERS)
    await around.prepare()
    first = await around.life()
    await around.session(spec(daily_max_loss_paise=10_000))
    await around.tell(entry("p1"), opened("p1"), entry("p2", instrument=OTHER), opened("p2", instrument=OTHER))
    start = at("10:01")
    await around.slice(every_second(start, STOCK, [49_990]), start_ns=start, end_ns=start + SECOND)
    await around.until(lambda: is_free(around.bus))
    await first.crash()
    for second in range(1, 30):  # nobody reads, and nobody is waited for
        moment = start + second * SECOND
        await around.slice(every_second(moment, OTHER, [49_990]), start_ns=moment, end_ns=moment + SECOND)
    life = await around.life()
    moment = start + 30 * SECOND
    await around.slice(every_second(moment, STOCK, [49_900]), start_ns=moment, end_ns=moment + SECOND)
    (halted,) = await around.until(around.refusals)
    # 100 units each: -10,000 and -1,000.
    assert (halted.rule, halted.ts_event_ns) == ("daily_max_loss", moment)
    assert len(await around.until(lambda: exits(around))) == 2
    assert life.failure() is None
    await life.stop()


async def test_a_session_alive_over_midnight_is_judged_by_the_new_days_terms(around: Around) -> None:
    await around.life()
    await around.session(spec(max_lots_per_trade=7))

    async def approved(pos_id: str, *, ts_ns: int) -> Any:
        """Its approval, once it is there."""
        await around.slice(ticks(), start_ns=ts_ns - SECOND, end_ns=ts_ns + SECOND)
        await around.tell(entry(pos_id, ts_ns=ts_ns, strategy=f"of {pos_id}"))

        async def there() -> list[Message]:
            return [one for one in await around.intents() if one.pos_id == pos_id]

        return (await around.until(there))[0]

    first = await approved("p1", ts_ns=at("14:00"))
    assert (first.tick_size_paise, first.price_paise) == (5, 50_000)
    await around.hands.register([STOCK.model_copy(update={"tick_size_paise": 30, "lot_size": 7})])
    assert (await approved("p2", ts_ns=at("14:01"))).tick_size_paise == 5, "terms change with the day"
    third = await approved("p3", ts_ns=at("10:00", date(2024, 1, 11)))
    assert (third.tick_size_paise, third.lot_size, third.price_paise) == (30, 7, 50_010)
