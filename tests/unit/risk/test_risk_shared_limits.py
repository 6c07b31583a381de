"""Limits over several sessions: of an account, of all. The desk's file, and what it does to the sessions."""

import json
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.risk import OTHER, SECOND, STOCK, at, closed, entry, every_second, opened, situation, spec, ticks
from testkit.risk_service import Around

from services.risk.shared_limits import DeskLimits, read_desk_limits
from tradebus.contracts.base import Message
from tradebus.contracts.risk import EntryBlocked, ExitApproved, SessionHalted
from tradebus.contracts.sessions import ScopeLimits, SessionStopped
from tradebus.kernel.errors import InvalidInput
from tradebus.risk.state import RiskState
from tradebus.risk.step import on_signal
from tradebus.risk.terms import SharedLimits
from tradebus.store.books import shared_limits_book
from tradebus.store.books.limits.shared_limits import SharedLimitsRow


def desk_file(folder: Path, tree: object) -> Path:
    path = folder / "limits.json"
    path.write_text(json.dumps(tree))
    return path


def test_the_file_says_limits_in_rupees_of_all_and_of_each_account(tmp_path: Path) -> None:
    path = desk_file(
        tmp_path, {"all": {"daily_max_loss": "500.50"}, "accounts": {"kite": {"max_positions": 3, "max_exposure": 10}}}
    )
    assert read_desk_limits(path) == DeskLimits(
        ScopeLimits(daily_max_loss_paise=50_050),
        {"kite": ScopeLimits(max_positions=3, max_exposure_paise=1_000)},
    )
    path = desk_file(tmp_path, {"users": {"123": {"daily_max_loss_pct": 1.5, "hard_trading_end": "15:00"}}})
    of_user = ScopeLimits(daily_max_loss_pct=1.5, hard_trading_end="15:00")
    assert read_desk_limits(path) == DeskLimits(users={"123": of_user})
    assert read_desk_limits(None) == DeskLimits()


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        ([], "the file: must be an object"),
        ({"al": {}}, "al: unknown; known are all, accounts, users"),
        ({"users": {"123": 5}}, "users.123: must be an object"),
        ({"users": {"123": {"risk_per_trade_pct": 1}}}, "users.123.risk_per_trade_pct: is a session's or a strategy's"),
        ({"all": 5}, "all: must be an object"),
        ({"accounts": {"kite": []}}, "accounts.kite: must be an object"),
        ({"all": {"daily_max_los": 5}}, "all.daily_max_los: unknown limit (did you mean 'daily_max_loss'?)"),
        ({"all": {"daily_max_loss": "many"}}, "all.daily_max_loss: 'many' is not an amount in rupees"),
        ({"all": {"daily_max_loss": -5}}, "all.daily_max_loss: Input should be greater than 0"),
        (
            {"all": {"safe_trading_start": "11:00", "safe_trading_end": "10:00"}},
            "all.safe_trading_end: 10:00 is not after safe_trading_start 11:00",
        ),
        ({"all": {"hard_trading_end": "25:00"}}, "all.hard_trading_end: String should match pattern"),
        ({"all": {"max_positions": "5"}}, "all.max_positions: Input should be a valid integer"),
        ({"all": {"consecutive_losses_limit": 5}}, "all.consecutive_losses_limit: is a session's or a strategy's"),
    ],
)
def test_a_file_with_anything_wrong_is_refused_by_file_and_field(tmp_path: Path, tree: object, problem: str) -> None:
    path = desk_file(tmp_path, tree)
    with pytest.raises(InvalidInput) as refused:
        read_desk_limits(path)
    assert str(refused.value).startswith(f"RISK_LIMITS_FILE {path}: ")
    assert problem in str(refused.value)


def test_every_problem_of_a_file_is_said_at_once_and_one_that_is_none_is_named(tmp_path: Path) -> None:
    path = desk_file(tmp_path, {"all": {"a": 1}, "accounts": {"x": {"b": 2}}})
    with pytest.raises(InvalidInput, match=r"all\.a: .*; accounts\.x\.b: "):
        read_desk_limits(path)
    path.write_text("{")
    with pytest.raises(InvalidInput, match="is not JSON"):
        read_desk_limits(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_desk_limits(tmp_path / "none.json")


async def limited(around: Around, folder: Path, **tree: object) -> None:
    """Risk with this file, and two paper sessions."""
    await around.life(limits_file=desk_file(folder, tree))
    await around.session(spec("session-1"))
    await around.session(spec("session-2"))


async def told(around: Around, number: int) -> list[Message]:
    async def enough() -> list[Message]:
        found = await around.refusals()
        return found if len(found) >= number else []

    return list(await around.until(enough))


async def lose(around: Around, *, price_paise: int) -> None:
    """One position in each session, both marked at that price."""
    await around.tell(entry("p1"), opened("p1", quantity=100))
    await around.tell(entry("p2", session_id="session-2"), opened("p2", quantity=100, session_id="session-2"))
    start = at("10:01")
    await around.slice(every_second(start, STOCK, [price_paise]), start_ns=start, end_ns=start + SECOND)


@pytest.mark.parametrize("tree", [{"all": {"daily_max_loss": 100}}, {"accounts": {"paper": {"daily_max_loss": 100}}}])
async def test_sessions_that_lose_the_limit_together_are_halted_and_closed_together(
    around: Around, tmp_path: Path, tree: dict[str, Any]
) -> None:
    await limited(around, tmp_path, **tree)
    await lose(around, price_paise=49_950)  # ₹50 each
    halts = await told(around, 2)
    assert all(isinstance(one, SessionHalted) for one in halts)
    assert {(one.session_id, one.rule) for one in halts} == {
        ("session-1", "daily_max_loss"), ("session-2", "daily_max_loss"),
    }  # fmt: skip
    assert "the day stands at -₹100.00; limit -₹100.00" in halts[0].detail
    leaving = [one for one in await around.intents() if isinstance(one, ExitApproved)]
    assert {one.pos_id for one in leaving} == {"p1", "p2"}


@pytest.mark.parametrize(
    ("tree", "rule"),
    [
        ({"all": {"daily_max_loss_pct": 0.0005}}, "daily_max_loss_pct"),  # of two times ten lakh: ten rupees
        ({"all": {"daily_max_loss_r": 0.0005}}, "daily_max_loss_r"),  # of two R of ten thousand: ten rupees
    ],
)
async def test_a_share_of_what_sessions_have_together_halts_them(
    around: Around, tmp_path: Path, tree: dict[str, Any], rule: str
) -> None:
    await limited(around, tmp_path, **tree)
    await lose(around, price_paise=49_995)  # ₹5 each
    halts = await told(around, 2)
    assert {(one.session_id, one.rule) for one in halts} == {("session-1", rule), ("session-2", rule)}
    assert "the day stands at -₹10.00; limit -₹10.00" in halts[0].detail


async def test_a_users_limit_is_of_that_user(around: Around, tmp_path: Path) -> None:
    await limited(around, tmp_path, users={"user-1": {"daily_max_loss": 50}})
    await lose(around, price_paise=49_950)  # ₹50 each
    (halted,) = await told(around, 1)
    assert (halted.session_id, halted.detail.split(":")[0]) == ("session-1", "user user-1")


async def test_the_hard_end_over_sessions_closes_what_they_hold_by_the_data_and_lets_nothing_in(
    around: Around, tmp_path: Path
) -> None:
    await limited(around, tmp_path, accounts={"paper": {"hard_trading_end": "10:02"}})
    await lose(around, price_paise=49_950)
    assert not [one for one in await around.intents() if isinstance(one, ExitApproved)]
    start = at("10:02")
    await around.slice(every_second(start, STOCK, [49_950]), start_ns=start, end_ns=start + SECOND)

    async def leaving() -> list[Message]:
        found = [one for one in await around.intents() if isinstance(one, ExitApproved)]
        return found if len(found) == 2 else []

    assert {(one.pos_id, one.rule) for one in await around.until(leaving)} == {
        ("p1", "hard_trading_end"), ("p2", "hard_trading_end"),
    }  # fmt: skip
    await around.publish(entry("p3", instrument=OTHER, ts_ns=at("10:02:01")))
    (blocked,) = await told(around, 1)
    assert (blocked.rule, blocked.detail) == ("hard_trading_end", "account paper: 10:02:01 is not before 10:02")


async def test_the_hard_end_over_sessions_comes_by_the_clock_where_no_data_does(around: Around, tmp_path: Path) -> None:
    await limited(around, tmp_path, all={"hard_trading_end": "10:02"})
    await lose(around, price_paise=49_950)
    start = at("10:02") - SECOND
    await around.slice(ticks(), start_ns=start, end_ns=start + SECOND * 7 // 10)  # the last there is

    async def leaving() -> list[Message]:
        return [one for one in await around.intents() if isinstance(one, ExitApproved)]

    found = await around.until(leaving)
    assert {one.rule for one in found} == {"hard_trading_end"}
    assert all(at("10:02") <= one.ts_event_ns < at("10:03") for one in found)


async def test_another_accounts_limit_and_a_smaller_loss_halt_nothing(around: Around, tmp_path: Path) -> None:
    await limited(around, tmp_path, all={"daily_max_loss": 101}, accounts={"kite": {"daily_max_loss": 1}})
    await lose(around, price_paise=49_950)
    await around.tell(entry("p3", instrument=OTHER, ts_ns=at("10:01:01")))
    assert await around.refusals() == []


async def test_what_a_session_that_has_ended_lost_counts_for_the_day_and_after_a_restart(
    around: Around, tmp_path: Path
) -> None:
    await limited(around, tmp_path, all={"daily_max_loss": 100})
    await around.tell(entry("p1"), opened("p1"), closed("p1", net_pnl_paise=-9_000))
    await around.slice(every_second(at("10:21"), STOCK, [50_000]), start_ns=at("10:21"), end_ns=at("10:22"))
    over = SessionStopped(
        event_id="over", ts_event_ns=at("10:22"), ts_recorded_ns=1, source="gateway", trace_id="t",
        session_id="session-1", reason="command", trades=1, net_pnl_paise=-9_000,
    )  # fmt: skip
    await around.end(over)
    await around.lives[-1].crash()
    await around.life(limits_file=tmp_path / "limits.json")
    late = {"session_id": "session-2", "instrument": OTHER}
    await around.tell(entry("p2", ts_ns=at("10:22"), **late), opened("p2", ts_ns=at("10:22:01"), **late))
    await around.tell(closed("p2", net_pnl_paise=-1_000, ts_ns=at("10:23"), **late))
    (halted,) = await told(around, 1)
    assert (halted.TYPE, halted.session_id) == ("SESSION_HALTED", "session-2")


async def test_counts_and_amounts_hold_over_the_sessions_of_an_account(around: Around, tmp_path: Path) -> None:
    await limited(around, tmp_path, accounts={"paper": {"max_concurrent_trades": 1}})
    await around.tell(entry("p1"))
    await around.publish(entry("p2", session_id="session-2", instrument=OTHER))
    (blocked,) = await told(around, 1)
    assert isinstance(blocked, EntryBlocked)
    assert (blocked.session_id, blocked.rule, blocked.detail) == (
        "session-2", "max_concurrent_trades", "account paper: 1 of 1 positions are taken",
    )  # fmt: skip


async def change(around: Around, scope: str, **limits: int) -> None:
    """What the gateway does for SET_SHARED_LIMITS."""
    shared = shared_limits_book(around.book)
    async with around.book.begin() as tx:
        await shared.lock(tx)
        row = (await shared.rows(tx)).get(scope, SharedLimitsRow(ScopeLimits()))
        await shared.put(tx, scope, SharedLimitsRow(row.limits.model_copy(update=limits), row.file), [])


async def test_what_is_changed_while_risk_runs_holds_soon(around: Around, tmp_path: Path) -> None:
    await limited(around, tmp_path, all={"daily_max_loss": 1_000})
    await lose(around, price_paise=49_950)  # ₹50 each
    assert await around.refusals() == []
    await change(around, "all", daily_max_loss_paise=10_000)
    seconds = count()

    async def halted() -> list[Message]:
        start = at("10:02") + next(seconds) * SECOND
        await around.slice(every_second(start, STOCK, [49_950]), start_ns=start, end_ns=start + SECOND)
        return await around.refusals()

    halts = await around.until(halted)
    assert {(one.TYPE, one.rule) for one in halts} == {("SESSION_HALTED", "daily_max_loss")}
    assert halts[0].detail.startswith("all: ")


async def test_a_file_that_says_something_else_than_it_did_is_taken_over_and_audited(
    around: Around, tmp_path: Path
) -> None:
    shared = shared_limits_book(around.book)
    first = desk_file(tmp_path, {"all": {"max_positions": 3}, "accounts": {"kite": {"max_positions": 2}}})

    async def begun(path: Path) -> dict[str, SharedLimitsRow]:
        life = await around.life(limits_file=path)
        found = await around.until(lambda: settled(path))
        await life.crash()
        return found

    async def settled(path: Path) -> dict[str, SharedLimitsRow]:
        rows = await shared.rows()
        said = read_desk_limits(path)
        return rows if rows and rows["all"].file == said.every else {}

    assert (await begun(first))["account kite"].limits == ScopeLimits(max_positions=2)
    await change(around, "all", max_positions=1)
    assert (await begun(first))["all"].limits == ScopeLimits(max_positions=1), "the file says what it said"
    second = desk_file(tmp_path, {"all": {"max_positions": 4}})
    rows = await begun(second)
    assert (rows["all"].limits, rows["account kite"].limits) == (ScopeLimits(max_positions=4), ScopeLimits())
    said = [(one.scope, one.before, one.after, one.widens) for one in await shared.changes() if one.command_id == ""]
    assert said[-2:] == [("account kite", 2, None, True), ("all", 1, 4, True)]
    assert {one.changed_by for one in await shared.changes()} == {"RISK_LIMITS_FILE"}


async def test_a_paced_run_says_that_it_has_no_limits_over_sessions(around: Around, tmp_path: Path) -> None:
    path = desk_file(tmp_path, {"all": {}})
    with pytest.raises(InvalidInput, match="RISK_LIMITS_FILE"):
        await around.life(paced=True, run=False, limits_file=path)


AMOUNTS = st.none() | st.integers(1, 200_000_000)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(10, 2_000)), max_size=12), AMOUNTS,
    st.none() | st.integers(1, 4), st.none() | st.integers(1, 5),
)  # fmt: skip
def test_no_order_of_entries_takes_sessions_beyond_what_they_share(
    entries: list[tuple[int, bool, int]], most: int | None, trades: int | None, lots: int | None
) -> None:
    limits = ScopeLimits(max_exposure_paise=most, max_concurrent_trades=trades, max_lots_per_trade=lots)
    states = [RiskState(), RiskState(), RiskState()]
    for number, (whose, second, distance) in enumerate(entries):
        others = tuple(state for place, state in enumerate(states) if place != whose)
        now = situation(spec(f"session-{whose}", max_concurrent_trades=9))
        signal = entry(
            f"p{number}", strategy=f"s{number}", instrument=OTHER if second else STOCK, stop_paise=50_000 - distance * 5
        )
        shared = SharedLimits("all", limits, others)
        states[whose] = on_signal(states[whose], signal, replace(now, shared=(shared,))).state
    live = [holding for state in states for holding in state.live()]
    assert most is None or sum(one.exposure_paise for one in live) <= most
    assert trades is None or len(live) <= trades
    assert lots is None or all(one.quantity <= lots for one in live)
