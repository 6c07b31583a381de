"""The whole service on the twins: from streams to streams, through the book."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from testkit.risk import (
    DAY,
    OTHER,
    SECOND,
    STOCK,
    at,
    cancelled,
    closed,
    entry,
    every_second,
    exit_signal,
    opened,
    spec,
    ticks,
)
from testkit.risk_service import Around, message

from services.gateway.adapters.views import views_of
from services.risk.market.marks import TICKS_STREAM
from tradebus.bus.port import Outgoing
from tradebus.contracts.commands import Flatten, Kill, PauseTrading, ResumeTrading, SetLimits, StartTrading, StopTrading
from tradebus.contracts.records import CANDLE
from tradebus.contracts.risk import EntryApproved, EntryBlocked, EntryReduced, ExitApproved, SessionHalted
from tradebus.contracts.sessions import RiskLimits, SessionStopped, Sizing, SizingMode
from tradebus.contracts.streams import ORDERS, SIGNALS
from tradebus.store.books import candles_book
from tradebus.store.books.kill_switch import Switch
from tradebus.trading.facts import ArmLong

NOTHING = ticks()
STOPPED = SessionStopped(
    event_id="over", ts_event_ns=at("10:00"), ts_recorded_ns=1, source="gateway", trace_id="t",
    session_id="session-1", reason="command", trades=0, net_pnl_paise=0,
)  # fmt: skip


async def count_of(around: Around, number: int) -> list[object]:
    """Waits for that many intents."""

    async def enough() -> list[object]:
        found = await around.intents()
        return list(found) if len(found) >= number else []

    return list(await around.until(enough))


async def test_an_entry_is_approved_with_everything_execution_needs(around: Around) -> None:
    await around.life()
    await around.session(spec())
    signal = entry(price_paise=50_000, stop_paise=40_000, target_paise=60_000)
    await around.publish(signal)
    (approval,) = await count_of(around, 1)
    assert isinstance(approval, EntryApproved)
    assert (approval.signal_id, approval.causation_id) == (signal.event_id, signal.event_id)
    assert (approval.pos_id, approval.session_id, approval.user_id) == ("p1", "session-1", "user-1")
    assert (approval.quantity, approval.lot_size, approval.price_paise, approval.stop_paise) == (100, 1, 50_000, 40_000)
    assert (approval.target_paise, approval.rule, approval.trace_id) == (60_000, "all_passed", "trace-p1")
    assert approval.valid_until_ns == signal.ts_event_ns + 120 * SECOND
    assert await around.journal() == [("session-1", "ALLOW", "all_passed", "p1")]


async def test_a_reduced_and_a_blocked_entry_say_the_rule(around: Around) -> None:
    await around.life()
    await around.session(spec(max_lots_per_trade=7, max_concurrent_trades=1))
    await around.publish(entry("p1"), entry("p2", instrument=OTHER))
    (reduced,) = await count_of(around, 1)
    assert isinstance(reduced, EntryReduced)
    assert (reduced.rule, reduced.quantity, reduced.quantity_requested) == ("max_lots_per_trade", 7, 2000)
    (blocked,) = await around.until(around.refusals)
    assert isinstance(blocked, EntryBlocked)
    assert (blocked.rule, blocked.detail, blocked.symbol) == (
        "max_concurrent_trades",
        "1 of 1 positions are taken",
        "TCS",
    )


async def test_sizes_by_the_daily_range_wait_for_enough_days_of_candles(around: Around) -> None:
    await around.life()
    await around.session(spec(sizing=Sizing(mode=SizingMode.ATR, atr_multiple=2.0)))
    await around.publish(entry("p1"))
    (blocked,) = await around.until(around.refusals)
    assert (blocked.rule, blocked.symbol) == ("atr_unknown", "SBIN")
    rows = np.zeros(14, CANDLE)
    rows["instrument"], rows["timeframe_seconds"] = STOCK.instrument_id, 60
    rows["ts_open_ns"] = [at("09:15", DAY - timedelta(days=back)) for back in range(14, 0, -1)]
    rows["ts_close_ns"] = rows["ts_open_ns"] + 60 * SECOND
    rows["high_paise"], rows["low_paise"], rows["open_paise"], rows["close_paise"] = 50_500, 49_500, 50_000, 50_000
    await candles_book(around.book).upsert(rows)
    await around.publish(entry("p2", instrument=STOCK, ts_ns=at("10:01")))
    (approval,) = await count_of(around, 1)
    assert approval.quantity == 500  # 1 % of ten lakh over twice a range of ten rupees


async def test_starting_takes_part_once_however_often_it_is_said(around: Around) -> None:
    await around.life()
    await around.session(spec())
    await around.publish(entry())
    await count_of(around, 1)
    await around.command(StartTrading, "session-1", spec=spec())
    again = await around.command(StartTrading, "session-1", number=2, spec=spec())
    await around.handled(again)
    assert await around.hands.participants("session-1") == ["risk"]
    assert set((await around.state())["holdings"]) == {"p1"}


async def test_the_gauges_are_right_also_while_no_tick_comes(around: Around) -> None:
    await around.life()
    await around.session(spec())

    async def sessions_and_positions() -> tuple[float | None, ...]:
        return tuple(around.registry.get_sample_value(f"tradebus_risk_{name}") for name in ("sessions", "positions"))

    await around.tell(entry("p1"), opened("p1", quantity=100))
    await around.until(lambda: _is(sessions_and_positions, (1, 1)))
    await around.tell(closed("p1"))
    await around.until(lambda: _is(sessions_and_positions, (1, 0)))
    await around.publish(STOPPED)
    await around.until(lambda: _is(sessions_and_positions, (0, 0)))


async def _is(question: Callable[[], Awaitable[object]], wanted: object) -> bool:
    return await question() == wanted


async def test_the_same_signal_twice_is_decided_once(around: Around) -> None:
    await around.life()
    await around.session(spec())
    await around.publish(entry("p1"), entry("p1"), entry("p2", instrument=OTHER))
    approvals = await count_of(around, 2)
    assert [approval.pos_id for approval in approvals] == ["p1", "p2"]
    assert sorted(str(line[3]) for line in await around.journal()) == ["p1", "p2"]


async def test_a_loss_on_a_tick_halts_the_session_and_closes_what_is_open(around: Around) -> None:
    await around.life()
    await around.session(spec(daily_max_loss_paise=10_000))
    await around.tell(entry("p1"), opened("p1", quantity=100))
    start = at("10:01")
    await around.slice(every_second(start, STOCK, [49_950, 49_901, 49_900, 49_000]), start_ns=start, end_ns=at("10:02"))
    (_, leave) = await count_of(around, 2)
    assert isinstance(leave, ExitApproved)
    assert (leave.rule, leave.pos_id, leave.ts_event_ns, leave.trace_id) == (
        "daily_max_loss", "p1", at("10:02"), "trace-p1",
    )  # fmt: skip
    (halted,) = await around.refusals()
    assert isinstance(halted, SessionHalted)
    assert (halted.rule, halted.ts_event_ns) == ("daily_max_loss", start + 2 * SECOND)
    await around.publish(entry("p2", ts_ns=at("10:02"), instrument=OTHER))
    await around.until(lambda: _more_than(around, 1))
    assert (await around.refusals())[-1].rule == "session_halted"


async def _more_than(around: Around, number: int) -> bool:
    return len(await around.refusals()) > number


async def test_stop_closes_what_is_open_blocks_entries_and_catches_what_opens_late(around: Around) -> None:
    await around.life()
    await around.session(spec())
    await around.tell(entry("p1"), opened("p1"), entry("p2", instrument=OTHER))
    await around.command(StopTrading, "session-1")
    first = (await count_of(around, 3))[2]
    assert (first.rule, first.pos_id, first.trace_id) == ("stop_trading", "p1", "trace-command")
    await around.publish(opened("p2", instrument=OTHER, ts_ns=at("10:00:02")))
    second = (await count_of(around, 4))[3]
    assert (second.rule, second.pos_id) == ("stop_trading", "p2")
    await around.publish(entry("p3", ts_ns=at("10:01")))
    (blocked,) = await around.until(around.refusals)
    assert blocked.rule == "session_stopping"


async def test_pause_resume_and_flatten(around: Around) -> None:
    await around.life()
    await around.session(spec())
    await around.handled(await around.command(PauseTrading, "session-1"))
    await around.publish(entry("p1"))
    (blocked,) = await around.until(around.refusals)
    assert blocked.rule == "session_paused"
    await around.handled(await around.command(ResumeTrading, "session-1"))
    await around.tell(entry("p2"), opened("p2"))
    await around.command(Flatten, "session-1")
    assert [(one.TYPE, one.rule) for one in await count_of(around, 2)] == [
        ("ENTRY_APPROVED", "all_passed"), ("EXIT_APPROVED", "flatten"),
    ]  # fmt: skip
    await around.tell(closed("p2"), entry("p3", ts_ns=at("10:30")))
    assert (await count_of(around, 3))[2].pos_id == "p3"


async def test_sessions_are_apart_in_limits_profit_and_commands(around: Around) -> None:
    await around.life()
    await around.session(spec("session-1", daily_max_loss_paise=1_000))
    await around.session(spec("session-2", daily_max_loss_paise=10_000_000, daily_max_loss_pct=None))
    for name in ("session-1", "session-2"):
        await around.tell(entry("p-" + name, session_id=name), opened("p-" + name, session_id=name))
    start = at("10:01")
    await around.slice(every_second(start, STOCK, [49_000]), start_ns=start, end_ns=start + SECOND)
    leave = (await count_of(around, 3))[2]
    assert (leave.session_id, leave.rule) == ("session-1", "daily_max_loss")
    await around.command(Flatten, "session-2")
    leave = (await count_of(around, 4))[3]
    assert (leave.session_id, leave.rule) == ("session-2", "flatten")


async def test_signals_of_a_session_that_is_over_are_refused(around: Around) -> None:
    await around.life()
    await around.session(spec())
    await around.publish(STOPPED)
    await around.publish(entry("p0", session_id="nobody"), exit_signal("p0", session_id="nobody"))
    await around.until(lambda: _more_than(around, 0))
    await around.publish(entry("p1"))
    await around.until(lambda: _more_than(around, 1))
    assert [one.rule for one in await around.refusals()] == ["unknown_session"] * 2
    assert sorted(await around.journal()) == [
        ("nobody", "BLOCK", "unknown_session", "p0"),
        ("nobody", "IGNORED", "unknown_session", "p0"),
        ("session-1", "BLOCK", "unknown_session", "p1"),
    ]


async def test_a_message_nobody_can_read_goes_to_the_dead_letters_and_the_service_goes_on(around: Around) -> None:
    life = await around.life()
    await around.session(spec())
    homeless = message(entry("p0")).model_copy(update={"session_id": None})
    await around.bus.publish([
        Outgoing(SIGNALS.name, "ENTRY_SIGNAL", b"not json"),
        Outgoing(SIGNALS.name, "ENTRY_SIGNAL", homeless.to_json()),
        Outgoing(ORDERS.name, "POSITION_OPENED", b'{"type":"POSITION_OPENED","schema_version":1}'),
        Outgoing(TICKS_STREAM, "ticks", b"odd", watermark_ns=at("10:00") - 1),
    ])  # fmt: skip
    await around.tell(entry("p1"), opened("p1"))
    await around.slice(NOTHING, start_ns=at("15:29"), end_ns=at("15:30"))
    await count_of(around, 2)
    reasons = [letter.reason for letter in await around.bus.dead_letters(SIGNALS.name, count=10)]
    assert len(reasons) == 2
    assert "names no session" in reasons[1]
    assert len(await around.bus.dead_letters(ORDERS.name, count=10)) == 1
    assert life.failure() is None


async def test_arming_is_noted_without_a_verdict(around: Around) -> None:
    await around.life()
    await around.session(spec())
    signal = entry("p1")
    plain = {name: getattr(signal, name) for name in (field.name for field in fields(ArmLong))}
    await around.publish(ArmLong(**plain), signal)
    await count_of(around, 1)
    assert len(await around.journal()) == 1


async def test_an_instrument_registered_after_the_start_is_found(around: Around) -> None:
    await around.life()
    await around.session(spec())
    late = STOCK.model_copy(update={"instrument_id": 77, "symbol": "LATE", "underlying": "LATE"})
    await around.hands.register([late])
    await around.publish(entry("p1", instrument=late))
    (approval,) = await count_of(around, 1)
    assert approval.instrument == 77


async def test_a_kill_command_closes_every_session_and_stays_in_the_book(around: Around) -> None:
    await around.life()
    for name in ("session-1", "session-2"):
        await around.session(spec(name))
        await around.tell(entry("p-" + name, session_id=name), opened("p-" + name, session_id=name))
    await around.command(Kill, None, number=at("10:00"), reason="enough")
    exits = (await count_of(around, 4))[2:]
    assert {(one.session_id, one.rule) for one in exits} == {("session-1", "kill_switch"), ("session-2", "kill_switch")}
    assert await around.switch_stands() == Switch(True, "enough", at("10:00"))
    await around.lives[0].stop()
    await around.life()
    await around.publish(entry("p9", ts_ns=at("10:30"), instrument=OTHER))
    (blocked,) = await around.until(around.refusals)
    assert blocked.rule == "kill_switch"


@pytest.mark.parametrize("how", ["file", "row"])
async def test_a_switch_engaged_without_a_command_closes_everything_and_can_be_released(
    around: Around, how: str
) -> None:
    await around.life()
    await around.session(spec())
    await around.tell(entry("p1"), opened("p1"))
    if how == "file":
        (around.state_dir / ".killswitch").touch()
    else:
        await around.switch(engaged=True, at_ns=1)
    leave = (await count_of(around, 2))[1]
    assert (leave.rule, leave.pos_id) == ("kill_switch", "p1")
    stands = await around.switch_stands()
    assert stands is not None
    assert stands.engaged
    (around.state_dir / ".killswitch").unlink(missing_ok=True)
    await around.switch(engaged=False, at_ns=stands.changed_ns + 1)
    switch = around.lives[0].wired.kill_switch

    async def released() -> bool:
        return not switch.engaged

    await around.until(released)
    await around.tell(closed("p1"), entry("p2", ts_ns=at("10:30"), instrument=OTHER))
    assert (await count_of(around, 3))[2].pos_id == "p2"


async def test_a_kill_that_a_person_released_before_it_was_read_engages_nothing(around: Around) -> None:
    await around.switch(engaged=False, at_ns=at("10:05"))
    await around.life()
    await around.session(spec())
    await around.handled(await around.command(Kill, None, number=at("10:00"), reason="old"))
    await around.publish(entry("p1"))
    assert isinstance((await count_of(around, 1))[0], EntryApproved)


async def test_a_cancelled_entry_frees_its_place_in_the_book(around: Around) -> None:
    await around.life()
    await around.session(spec(max_concurrent_trades=1))
    await around.tell(entry("p1"))
    await around.tell(cancelled("p1"))
    await around.publish(entry("p2", ts_ns=at("10:01")))
    assert (await count_of(around, 2))[1].pos_id == "p2"


async def test_limits_set_while_running_hold_from_then_on_and_after_a_restart(around: Around) -> None:
    life = await around.life()
    await around.session(spec())
    tight = {"limits": RiskLimits(max_concurrent_trades=1, cooldown_seconds=0), "strategies": ()}
    await around.handled(await around.command(SetLimits, "session-1", number=5, **tight))
    await around.tell(entry("p1"))
    await around.publish(entry("p2", instrument=OTHER))
    await around.until(around.refusals)
    await life.crash()
    await around.life()
    await around.publish(entry("p3", strategy="ema", ts_ns=at("10:00:05")))
    await around.until(lambda: _more_than(around, 1))
    # What was set before others that hold comes too late.
    loose = {"limits": RiskLimits(max_concurrent_trades=9, cooldown_seconds=0), "strategies": ()}
    await around.handled(await around.command(SetLimits, "session-1", number=4, **loose))
    await around.publish(entry("p4", strategy="ema", instrument=OTHER, ts_ns=at("10:00:06")))
    await around.until(lambda: _more_than(around, 2))
    assert [one.rule for one in await around.refusals()] == ["max_concurrent_trades"] * 3


async def test_a_change_of_limits_that_redis_lost_is_found_in_the_book(around: Around) -> None:
    await around.life()
    await around.session(spec())
    await around.tell(entry("p1"))
    tight = {"limits": RiskLimits(max_concurrent_trades=1), "strategies": ()}
    lost = await around.command(SetLimits, "session-1", number=5, lost=True, **tight)
    await around.handled(lost)
    assert (await around.state())["limits"]["max_concurrent_trades"] == 1


async def test_a_tighter_limit_that_is_reached_already_halts_at_once(around: Around) -> None:
    await around.life()
    await around.session(spec())
    await around.tell(entry("p1"), opened("p1", quantity=100))
    start = at("10:01")
    await around.slice(every_second(start, STOCK, [49_900]), start_ns=start, end_ns=start + SECOND)
    await around.until(lambda: _used(around, "daily_max_loss_pct"))
    tight = {"limits": RiskLimits(daily_max_loss_paise=10_000), "strategies": ()}
    await around.command(SetLimits, "session-1", number=5, **tight)
    (halted,) = await around.until(around.refusals)
    assert isinstance(halted, SessionHalted)
    assert halted.rule == "daily_max_loss"
    leaving = [one for one in await around.intents() if isinstance(one, ExitApproved)]
    assert [(one.pos_id, one.rule) for one in leaving] == [("p1", "daily_max_loss")]


async def test_how_far_a_session_is_from_its_limits_is_told_and_measured(around: Around) -> None:
    await around.life()
    await around.session(spec(max_concurrent_trades=2, daily_max_loss_paise=20_000))
    await around.tell(entry("p1"), opened("p1", quantity=100))
    start = at("10:01")
    await around.slice(every_second(start, STOCK, [49_950]), start_ns=start, end_ns=start + SECOND)
    rooms = await around.until(lambda: _used(around, "daily_max_loss"))
    loss, trades = rooms["daily_max_loss"], rooms["max_concurrent_trades"]
    assert (loss["used"], loss["most"], loss["left"], loss["share"]) == (5_000, 20_000, 15_000, 0.25)
    assert (trades["used"], trades["most"]) == (1, 2)
    ratio = around.registry.get_sample_value("tradebus_risk_limit_used_ratio", {"limit": "daily_max_loss"})
    assert ratio == 0.25


async def _used(around: Around, limit: str) -> dict[str, Any]:
    """The session's headroom as people see it, once some of that limit is used."""
    rows = await views_of(around.book).rows("headroom", session_id="session-1", user_id=None, limit=1)
    rooms = {one["limit"]: one for row in rows for one in json.loads(row["body"])}
    return rooms if rooms.get(limit, {}).get("used") else {}
