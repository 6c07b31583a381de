"""The paper broker on each of its books, and as the engine's exchange: the same answers, the same reports."""

import asyncio
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import OPEN_NS, contract

from tradebus.brokers.paper.gateway import PaperGateway
from tradebus.brokers.paper.memory import MemoryPaperBook
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.contracts.sessions import PaperSettings
from tradebus.trading.matching.exchange import PaperExchange
from tradebus.trading.matching.paper import accept, request_cancel
from tradebus.trading.orders import BrokerStatus, InstrumentTicks, OrderModification, OrderRequest, Result

MILLISECOND = 1_000_000
SETTINGS = PaperSettings(seed=7, latency_ms=100, slippage_bps=2.0, partial_fill_probability=0.5)


def request(tag="t1", *, account="a", at_ns=OPEN_NS, instrument=1, kind=OrderType.LIMIT, way=Transaction.BUY, lots=4):
    waits = kind in (OrderType.SL, OrderType.SL_M, OrderType.GTT)
    target = 10_050 if way is Transaction.SELL else 9_950
    return OrderRequest(
        account=account, tag=tag, instrument=instrument, symbol="X", transaction=way, order_type=kind,
        quantity=lots * 25, lot_size=25, tick_size_paise=5, at_ns=at_ns,
        price_paise=10_000 if kind in (OrderType.LIMIT, OrderType.SL, OrderType.GTT) else None,
        trigger_paise=10_000 if waits else None, market_protection_pct=3.0,
        target_paise=target if kind is OrderType.GTT else None,
        contract=contract(lot_size=25),
    )  # fmt: skip


async def settings_of(_account: str) -> PaperSettings:
    return SETTINGS


async def test_an_order_is_found_by_id_and_by_its_accounts_tag_only(paper_book):
    order = accept(request(), SETTINGS)
    await paper_book.insert(order)
    assert await paper_book.by_id(order.broker_order_id) == (order, 0)
    assert await paper_book.by_tag("a", "t1") == (order, 0)
    assert await paper_book.by_tag("b", "t1") is None
    assert await paper_book.by_id("nobody's") is None


async def test_an_order_of_a_known_tag_changes_nothing(paper_book):
    first, second = accept(request(), SETTINGS), accept(request(at_ns=OPEN_NS + MILLISECOND, account="b"), SETTINGS)
    await paper_book.insert(first)
    await paper_book.insert(second)
    await paper_book.insert(first)
    assert await paper_book.of_account("a") == [first]
    assert await paper_book.of_account("b") == []
    assert await paper_book.by_id(second.broker_order_id) is None


async def test_the_later_writer_of_one_version_loses(paper_book):
    order = accept(request(), SETTINGS)
    await paper_book.insert(order)
    cancelled = request_cancel(order, at_ns=OPEN_NS + MILLISECOND)
    assert await paper_book.save(cancelled, version=0)
    assert not await paper_book.save(replace(order, reason="late"), version=0)
    assert await paper_book.by_id(order.broker_order_id) == (cancelled, 1)
    assert not await paper_book.save(accept(request("t2"), SETTINGS), version=0), "it is not in the book"


async def test_accounts_see_their_orders_in_the_order_they_came(paper_book):
    orders = [accept(request(f"t{number}", at_ns=OPEN_NS + number * MILLISECOND), SETTINGS) for number in range(3)]
    for order in reversed(orders):
        await paper_book.insert(order)
    assert await paper_book.of_account("a") == orders


async def test_two_gateways_on_one_book_see_each_others_changes(paper_book):
    first, second = PaperGateway(paper_book, settings_of), PaperGateway(paper_book, settings_of)
    placed = await first.place(request())
    assert (await second.place(request())).broker_order_id == placed.broker_order_id
    ticks = table([10_000, 10_000])
    filled = await first.on_tick(1, ticks, 1)
    heard = await second.on_tick(1, ticks, 1)
    assert filled
    assert heard == filled, "what the first wrote is what happened"


def table(path: list[int]) -> InstrumentTicks:
    at_ns = OPEN_NS + (np.arange(len(path), dtype=np.int64) + 1) * 150 * MILLISECOND
    nothing = np.zeros(len(path), np.int64)
    return InstrumentTicks(at_ns, np.asarray(path, np.int64), nothing, nothing)


requests = st.builds(
    request,
    st.sampled_from(["t1", "t2", "t3"]),
    account=st.sampled_from(["a", "b"]),
    at_ns=st.integers(0, 10).map(lambda number: OPEN_NS + number * 100 * MILLISECOND),
    kind=st.sampled_from(OrderType),
    way=st.sampled_from(Transaction),
    lots=st.integers(0, 6),
)
actions = st.lists(
    st.one_of(
        requests.map(lambda made: ("place", made)),
        st.tuples(st.just("cancel"), st.integers(0, 3), st.integers(0, 20)),
        st.tuples(st.just("modify"), st.integers(0, 3), st.integers(-1, 6)),
        st.tuples(st.just("tick"), st.integers(0, 19)),
        st.tuples(st.just("advance"), st.integers(0, 20)),
    ),
    max_size=30,
)


@given(actions, st.lists(st.integers(1985, 2015).map(lambda tick: tick * 5), min_size=20, max_size=20))
def test_the_engines_exchange_answers_and_reports_as_the_gateway_does(script, path):
    ticks = table(path)

    async def both() -> None:
        gateway, exchange = PaperGateway(MemoryPaperBook(), settings_of), PaperExchange()
        numbers = ["nobody's"]
        for what, *given_ in script:
            if what == "place":
                ours, theirs = exchange.place(given_[0], SETTINGS), await gateway.place(given_[0])
                if ours.result is Result.ACCEPTED:
                    numbers.append(ours.broker_order_id)
            elif what == "cancel":
                number, at_ns = numbers[given_[0] % len(numbers)], OPEN_NS + given_[1] * 100 * MILLISECOND
                ours, theirs = exchange.cancel("a", number, at_ns=at_ns), await gateway.cancel("a", number, at_ns=at_ns)
            elif what == "modify":
                number = numbers[given_[0] % len(numbers)]
                change = OrderModification(
                    100, 10_000, given_[1] * 5 if given_[1] >= 0 else -5, OPEN_NS + 100 * MILLISECOND
                )
                ours, theirs = exchange.modify("a", number, change), await gateway.modify("a", number, change)
            elif what == "tick":
                assert exchange.next_touch(1, ticks, given_[0]) == gateway.next_touch(1, ticks, given_[0])
                ours, theirs = exchange.on_tick(1, ticks, given_[0]), first(await gateway.on_tick(1, ticks, given_[0]))
            else:
                now_ns = OPEN_NS + given_[0] * 100 * MILLISECOND
                ours, theirs = exchange.advance(now_ns), first(await gateway.advance(now_ns))
            assert ours == theirs
        for account in ("a", "b"):
            assert exchange.order_book(account) == await gateway.order_book(account)

    asyncio.run(both())


def first(reports):
    return reports[0] if reports else None


async def test_what_is_final_is_let_go_and_refuses_changes(paper_book):
    gateway = PaperGateway(paper_book, settings_of)
    placed = await gateway.place(request(kind=OrderType.MARKET, lots=1))
    [report] = await gateway.on_tick(1, table([10_000]), 0)
    assert report.status is BrokerStatus.FILLED
    assert gateway.next_touch(1, table([10_000, 10_000]), 0) is None
    refused = await gateway.cancel("a", placed.broker_order_id, at_ns=OPEN_NS + MILLISECOND)
    assert refused.result is Result.REFUSED


async def test_a_modification_that_no_exchange_would_take_is_refused(paper_book):
    gateway = PaperGateway(paper_book, settings_of)
    placed = await gateway.place(request(kind=OrderType.SL, way=Transaction.SELL))
    now_ns = OPEN_NS + MILLISECOND
    for change, rule in (
        (OrderModification(110, 10_000, 10_000, now_ns), "lot_size"),
        (OrderModification(100, 9_998, 10_000, now_ns), "tick_size"),
        (OrderModification(100, 10_000, 9_900, now_ns), "stop_limit"),
        (OrderModification(100, 10_000, -5, now_ns), "trigger"),
        (OrderModification(100, 10_000, 10_000, OPEN_NS - 3_600_000 * MILLISECOND), "outside_session"),
    ):
        refused = await gateway.modify("a", placed.broker_order_id, change)
        assert refused.result is Result.REFUSED
        assert refused.reason.startswith(rule)
    taken = await gateway.modify("a", placed.broker_order_id, OrderModification(75, 9_900, 9_950, now_ns))
    assert taken.result is Result.ACCEPTED
