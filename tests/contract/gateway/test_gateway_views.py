"""The book as people look at it: what the services' own books wrote, each through its own port. On both books."""

from typing import Any

import pytest
from testkit.execution_books import register
from testkit.filled_book import (
    MORNING_NS,
    SECOND_NS,
    put_close,
    put_halt,
    put_reconciliation,
    put_signals,
    put_trade,
    put_verdicts,
    put_waiting,
)
from testkit.risk import entry

from services.gateway.adapters.views import BookViews, views_of
from services.gateway.asking.book import asked_book
from services.gateway.http.rows import approval, limit_change, order_budget, shared_limit_change
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import ScopeLimits, SessionSpec, SessionStatus
from tradebus.contracts.signals import Side
from tradebus.execution.governor.budget import OrderAsk, OrderBudget
from tradebus.execution.governor.limits import OrderLane, limits_of
from tradebus.kernel.clock import WallClock
from tradebus.store.book import Book
from tradebus.store.books import limit_changes_book, order_budget_book, session_register, shared_limits_book
from tradebus.store.books.limits.limit_changes import StoredChange
from tradebus.store.books.limits.shared_limits import SharedLimitChange, SharedLimitsRow

INDEX, SHARE = (
    Instrument(
        instrument_id=number, symbol=symbol, kind="EQUITY", market_class="equity_fno", underlying=symbol,
        tick_size_paise=5,
    )
    for number, symbol in ((1, "BANKNIFTY"), (2, "TCS"))
)  # fmt: skip


@pytest.fixture
async def views(book: Book) -> BookViews:
    """Three sessions of two users, the middle one over."""
    await register(book, INDEX, SHARE)
    sessions = session_register(book)
    for number, user_id in enumerate(("ann", "bob", "ann"), 1):
        session_id = f"s{number}"
        spec = SessionSpec(
            session_id=session_id, user_id=user_id, symbols=("BANKNIFTY",), strategies=({"name": "orb"},),
            capital_paise=number * 10_000_000,
        )  # fmt: skip
        async with book.begin() as transaction:
            await sessions.insert(transaction, spec, command_id=f"c{number}", now_ns=number)
            if user_id == "bob" or number == 1:
                await sessions.end(
                    transaction, session_id, SessionStatus.FAILED, seen=SessionStatus.STARTING, now_ns=9, reason="why"
                )
    return views_of(book)


async def rows(views: BookViews, name: str, **filters: Any) -> list[dict[str, Any]]:
    found = await views.rows(name, **{"session_id": None, "user_id": None, "limit": 100, **filters})
    return [dict(row) for row in found]


async def test_before_anything_happened_every_view_is_empty(book: Book) -> None:
    views = views_of(book)
    for name in (
        "sessions",
        "trades",
        "orders",
        "signals",
        "decisions",
        "risk",
        "performance",
        "limits",
        "headroom",
        "approvals",
    ):
        assert await rows(views, name) == []
    assert await views.portfolio(session_id=None, user_id=None, limit=5) == []
    assert await views.positions([]) == []
    assert await views.version()


async def test_sessions_are_shown_newest_first_with_what_they_came_to(views: BookViews, book: Book) -> None:
    await put_trade(book, 1, session_id="s2", user_id="bob", instrument=INDEX, exited=30, net_pnl_paise=-250)
    await put_trade(book, 2, session_id="s2", user_id="bob", instrument=INDEX, exited=30, net_pnl_paise=1_000)
    await put_trade(book, 3, session_id="s2", user_id="bob", instrument=INDEX, entered=0)
    found = await rows(views, "sessions")
    assert [(one["session_id"], one["status"], one["ended_ns"]) for one in found] == [
        ("s3", "STARTING", None), ("s2", "FAILED", 9), ("s1", "FAILED", 9),
    ]  # fmt: skip
    names = ("user_id", "mode", "created_ns", "reason", "trades", "net_pnl_paise")
    assert [found[1][name] for name in names] == ["bob", "paper", 2, "why", 2, 750]
    assert found[1]["spec"]["strategies"][0]["name"] == "orb"
    assert (found[0]["trades"], found[0]["net_pnl_paise"]) == (0, 0)


async def test_a_session_says_what_its_broker_disagrees_about_until_it_agrees(views: BookViews, book: Book) -> None:
    await put_reconciliation(book, session_id="s1", at_ns=1, held="0", pos_id=None)
    await put_reconciliation(book, session_id="s2", at_ns=1, held="0", pos_id=None)
    await put_reconciliation(book, session_id="s2", at_ns=2, held=None, pos_id=None)
    await put_reconciliation(book, session_id="s3", at_ns=3, held="a note about one order", pos_id="p1")
    told = {one["session_id"]: one["mismatches"] for one in await rows(views, "sessions")}
    assert told == {
        "s1": [{"what": "position X", "ours": "65", "brokers": "0", "action": "look at it"}], "s2": [], "s3": [],
    }  # fmt: skip


async def test_a_session_that_risk_has_halted_says_by_which_rule(views: BookViews, book: Book) -> None:
    await put_halt(book, session_id="s3", rule="daily_max_loss")
    assert [one["halted"] for one in await rows(views, "sessions")] == ["daily_max_loss", None, None]
    assert [one["halted_parts"] for one in await rows(views, "sessions")] == [
        {"symbol TCS": "symbol_max_loss"},
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"user_id": "ann"}, ["s3", "s1"]), ({"session_id": "s1"}, ["s1"]), ({"limit": 2}, ["s3", "s2"]),
        ({"session_id": "s1", "user_id": "bob"}, []), ({"user_id": "nobody"}, []),
    ],
)  # fmt: skip
async def test_filters_leave_out_what_they_do_not_name(
    views: BookViews, filters: dict[str, Any], expected: list[str]
) -> None:
    assert [one["session_id"] for one in await rows(views, "sessions", **filters)] == expected


async def test_trades_and_orders_are_shown_as_execution_keeps_them(views: BookViews, book: Book) -> None:
    first = await put_trade(
        book, 1, session_id="s3", user_id="ann", instrument=INDEX, exited=30, net_pnl_paise=-250, r_multiple=-0.5
    )
    second = await put_trade(book, 2, session_id="s2", user_id="bob", instrument=SHARE, entered=0)
    newest, oldest = await rows(views, "trades")
    assert (newest["pos_id"], newest["state"], newest["opened_ns"]) == (second, "ENTRY_PENDING", None)
    assert newest["trade_id"] > oldest["trade_id"]
    del oldest["trade_id"]
    at_ns = MORNING_NS + SECOND_NS
    assert oldest == {
        "pos_id": first, "session_id": "s3", "user_id": "ann", "strategy": "orb", "symbol": "BANKNIFTY",
        "side": "LONG", "state": "CLOSED", "quantity_requested": 30, "entry_quantity": 30,
        "entry_value_paise": 150_000_000, "exit_quantity": 30, "exit_value_paise": 150_000_000,
        "charges_paise": 5_050, "initial_stop_paise": 4_990_000, "stop_paise": 4_990_000, "target_paise": None,
        "exit_reason": None, "created_ns": at_ns, "opened_ns": at_ns + 1, "closed_ns": at_ns + 2,
        "net_pnl_paise": -250, "r_multiple": -0.5, "mae_r": -0.5, "mfe_r": None, "trace_id": "t1", "group_id": None,
    }  # fmt: skip
    assert [one["pos_id"] for one in await rows(views, "trades", user_id="bob")] == [second]
    later, earlier = await rows(views, "orders")
    assert (later["order_id"], later["state"], later["filled_quantity"]) == ("o2", "PENDING", 0)
    assert earlier == {
        "order_id": "o1", "pos_id": first, "session_id": "s3", "user_id": "ann", "strategy": "orb",
        "symbol": "BANKNIFTY", "tag": "tag1", "role": "ENTRY", "transaction_type": "BUY", "order_type": "LIMIT",
        "quantity": 30, "price_paise": 5_000_005, "trigger_paise": None, "state": "FILLED", "broker_order_id": "B1",
        "filled_quantity": 30, "filled_value_paise": 150_000_000, "placed_ns": at_ns, "updated_ns": at_ns,
        "reason": None,
    }  # fmt: skip
    assert [one["order_id"] for one in await rows(views, "orders", session_id="s3")] == ["o1"]


async def test_signals_and_decisions_are_shown_as_strategy_keeps_them(views: BookViews, book: Book) -> None:
    await put_signals(book, session_id="s3", user_id="ann", instrument=INDEX)
    await put_signals(book, session_id="s2", user_id="bob", instrument=SHARE)
    left, entered = await rows(views, "signals", session_id="s3")
    assert entered == {
        "event_id": "s3-enter", "session_id": "s3", "user_id": "ann", "strategy": "orb", "symbol": "BANKNIFTY",
        "type": "ENTRY_SIGNAL", "ts_event_ns": MORNING_NS + 1, "side": "LONG", "price_paise": 5_000_000,
        "stop_paise": 4_990_000, "target_paise": None, "confidence": 0.5, "reason": "breakout", "pos_id": "p1",
        "trace_id": "t",
    }  # fmt: skip
    assert (left["type"], left["stop_paise"], left["confidence"]) == ("EXIT_SIGNAL", None, None)
    every = await rows(views, "decisions")
    assert [(one["ts_event_ns"], one["session_id"], one["action"]) for one in every] == [
        (MORNING_NS + offset, session_id, action)
        for offset, action in ((2, "EXIT"), (1, "ENTER_LONG"), (0, "HOLD")) for session_id in ("s2", "s3")
    ]  # fmt: skip
    assert every[-1] == {
        "session_id": "s3", "user_id": "ann", "strategy": "orb", "symbol": "BANKNIFTY", "ts_event_ns": MORNING_NS,
        "action": "HOLD", "reason": "no setup", "price_paise": 5_000_000,
    }  # fmt: skip


async def test_verdicts_are_shown_as_risk_keeps_them(views: BookViews, book: Book) -> None:
    await put_verdicts(book, session_id="s3")
    allowed, blocked = await rows(views, "risk", user_id="ann")
    assert blocked == {
        "event_id": "s3-r1", "session_id": "s3", "user_id": "ann", "signal_id": "g1", "pos_id": "p1",
        "verdict": "BLOCK", "rule": "cooldown", "quantity": None, "ts_event_ns": 1, "symbol": "BANKNIFTY",
        "detail": None,
    }  # fmt: skip
    assert (allowed["verdict"], allowed["quantity"], allowed["symbol"], allowed["detail"]) == (
        "ALLOW", 30, None, "30 of 60",
    )  # fmt: skip


async def test_the_portfolio_is_of_those_alive_or_the_one_asked_for(views: BookViews, book: Book) -> None:
    await put_trade(book, 1, session_id="s3", user_id="ann", instrument=INDEX, exited=30, net_pnl_paise=-250)
    alive = await views.portfolio(session_id=None, user_id=None, limit=9)
    assert [dict(one) for one in alive] == [
        {
            "session_id": "s3", "user_id": "ann", "status": "STARTING", "capital_paise": 30_000_000,
            "realised_net_pnl_paise": -250,
        }
    ]  # fmt: skip
    (over,) = await views.portfolio(session_id="s1", user_id=None, limit=9)
    assert (over["status"], over["realised_net_pnl_paise"]) == ("FAILED", 0)
    assert await views.portfolio(session_id="s1", user_id="bob", limit=9) == []


async def test_what_is_held_is_marked_at_the_last_close(views: BookViews, book: Book) -> None:
    held = await put_trade(book, 1, session_id="s3", user_id="ann", instrument=INDEX, exited=10)
    short = await put_trade(book, 2, session_id="s3", user_id="ann", instrument=SHARE, side=Side.SHORT)
    await put_trade(book, 3, session_id="s3", user_id="ann", instrument=INDEX, exited=30, net_pnl_paise=0)
    await put_trade(book, 4, session_id="s2", user_id="bob", instrument=INDEX)
    await put_close(book, INDEX, 5_001_000, 5_002_000)
    first, second = await views.positions(["s3", "s1"])
    assert dict(first) == {
        "session_id": "s3", "user_id": "ann", "pos_id": held, "strategy": "orb", "symbol": "BANKNIFTY",
        "side": "LONG", "state": "POSITION_OPEN", "quantity": 20, "entry_value_paise": 150_000_000,
        "entry_quantity": 30, "stop_paise": 4_990_000, "target_paise": None,
        "opened_ns": MORNING_NS + SECOND_NS + 1, "group_id": None, "last_price_paise": 5_002_000,
    }  # fmt: skip
    assert (second["pos_id"], second["side"], second["last_price_paise"]) == (short, "SHORT", None)


async def test_performance_is_summed_by_session_and_strategy_of_what_is_closed(views: BookViews, book: Book) -> None:
    outcomes = [("s2", "bob", "orb", 700, 0.5), ("s3", "ann", "orb", 1_000, 1.5), ("s3", "ann", "orb", -400, None),
                ("s3", "ann", "ema", 0, None)]  # fmt: skip
    for number, (session_id, user_id, strategy, net, r_multiple) in enumerate(outcomes, 1):
        await put_trade(
            book, number, session_id=session_id, user_id=user_id, strategy=strategy, instrument=INDEX, exited=30,
            net_pnl_paise=net, r_multiple=r_multiple,
        )  # fmt: skip
    await put_trade(book, 9, session_id="s3", user_id="ann", instrument=INDEX)
    ema, orb, other = await rows(views, "performance")
    assert (ema["strategy"], ema["winners"], ema["losers"], ema["average_r"]) == ("ema", 0, 0, None)
    assert orb == {
        "session_id": "s3", "user_id": "ann", "strategy": "orb", "trades": 2, "winners": 1, "losers": 1,
        "gross_pnl_paise": 10_700, "charges_paise": 10_100, "net_pnl_paise": 600, "profit_paise": 1_000,
        "loss_paise": -400, "average_r": 1.5, "average_mae_r": 1.5, "average_mfe_r": None,
    }  # fmt: skip
    assert (other["session_id"], other["profit_paise"], other["loss_paise"]) == ("s2", 700, 0)


async def test_changes_of_limits_are_shown_newest_first_with_who_and_why(views: BookViews, book: Book) -> None:
    changes = [
        StoredChange(
            session_id="s3", user_id="ann", changed_ns=MORNING_NS + number, changed_by="asha", strategy=strategy,
            field=field, before=before, after=after, widens=True, reason="why", command_id="c",
        )
        for number, (strategy, field, before, after) in enumerate(
            ((None, "daily_max_loss_paise", 100_050, None), ("orb", "max_positions", 1, 2))
        )
    ]  # fmt: skip
    async with book.begin() as transaction:
        await limit_changes_book(book).add(transaction, changes)
    found = await rows(views, "limits")
    assert [(row["strategy"], row["field"], row["before_value"], row["after_value"]) for row in found] == [
        ("orb", "max_positions", "1", "2"), (None, "daily_max_loss_paise", "100050", "null"),
    ]  # fmt: skip
    assert limit_change(found[1]) == {
        "change_id": found[1]["change_id"], "session_id": "s3", "user_id": "ann", "changed_by": "asha",
        "strategy": None, "reason": "why", "changed_at": "2024-01-02T09:17:00.000+05:30", "field": "daily_max_loss",
        "before": 1000.5, "after": None, "widens": True,
    }  # fmt: skip
    assert await rows(views, "limits", session_id="s1") == []


async def test_what_waits_for_a_person_is_shown_while_its_session_lives(views: BookViews, book: Book) -> None:
    for session_id, ids in (("s1", ("a0",)), ("s3", ("a1", "a2"))):
        await put_waiting(book, session_id=session_id, approval_ids=ids)
    found = await rows(views, "approvals")
    assert [(one["approval_id"], one["session_id"], one["user_id"]) for one in found] == [
        ("a2", "s3", "ann"), ("a1", "s3", "ann"),
    ]  # fmt: skip
    first, second = (approval(one) for one in found)
    assert (first["quantity"], first["expires_at"]) == (75, "2024-01-10T10:01:01.000+05:30")
    assert second["entries"] == [{
        "strategy": "orb", "symbol": "SBIN", "side": "LONG", "reason": "test", "price": 500.0, "stop": 495.0,
        "target": None, "signal_id": entry("p0").event_id,
    }]  # fmt: skip
    assert await rows(views, "approvals", user_id="bob") == []
    async with book.begin() as transaction:
        asked = asked_book(book)
        assert [await asked.waits(transaction, "s3", one) for one in ("a1", "a2", "a3")] == [True, True, False]
        assert not await asked.waits(transaction, "s2", "a1")


async def test_changes_of_what_sessions_share_are_shown_and_are_of_no_session(views: BookViews, book: Book) -> None:
    shared = shared_limits_book(book)
    changes = [
        SharedLimitChange(
            scope=scope, changed_ns=MORNING_NS, changed_by="asha", field="daily_max_loss_paise", before=None,
            after=5_050, widens=False, reason="why", command_id="c",
        )
        for scope in ("all", "account kite")
    ]  # fmt: skip
    async with book.begin() as transaction:
        await shared.lock(transaction)
        for one in changes:
            row = SharedLimitsRow(ScopeLimits(daily_max_loss_paise=5_050))
            await shared.put(transaction, one.scope, row, [one])
    found = await rows(views, "shared_limits")
    assert [row["scope"] for row in found] == ["account kite", "all"]
    shown = shared_limit_change(found[0])
    assert (shown["scope"], shown["field"], shown["before"], shown["after"], shown["session_id"]) == (
        "account kite", "daily_max_loss", None, 50.5, None,
    )  # fmt: skip
    assert await rows(views, "shared_limits", session_id="s3") == []
    assert await rows(views, "shared_limits", user_id="ann") == []


async def test_order_budgets_are_shown_by_account_as_they_stand_and_are_of_no_session(
    views: BookViews, book: Book
) -> None:
    budgets, limits = order_budget_book(book, clock=WallClock()), limits_of("kite")
    budget = OrderBudget()
    at_ns = (await budgets.read("kite:asha")).now_ns
    for _ in range(3):
        budget.left(limits, OrderAsk("NSE", OrderLane.EXIT, counted=True), at_ns=at_ns)
    budget.traded(2, at_ns=at_ns)
    for account, body in (("kite:asha", budget.to_json(limits)), ("dhan:old", "{}")):
        decided_ns = (await budgets.read(account)).now_ns
        assert (await budgets.replace(account, body, version=0, decided_ns=decided_ns)).replaced
    other, asha = await rows(views, "order_budgets")
    assert order_budget(asha, now_ns=at_ns) == {
        "account": "kite:asha", "problem": None, "order_to_trade": {"orders": 3, "trades": 2, "ratio": 1.5},
        "spans": [
            {"span": "second", "used": 3, "cap": 9}, {"span": "minute", "used": 3, "cap": 390},
            {"span": "day", "used": 3, "cap": 4900},
        ],
    }  # fmt: skip
    later = order_budget(asha, now_ns=at_ns + 24 * 3_600 * 1_000_000_000)
    assert [one["used"] for one in later["spans"]] == [0, 0, 0]
    assert later["order_to_trade"] == {"orders": 0, "trades": 0, "ratio": None}
    unread = order_budget(other, now_ns=at_ns)
    assert (unread["account"], unread["spans"]) == ("dhan:old", [])
    assert "delete the row" in unread["problem"]
    assert await rows(views, "order_budgets", user_id="ann") == []
