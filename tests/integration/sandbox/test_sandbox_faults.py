"""What is made to go wrong: rules, requests, frames, limits."""

import asyncio

import pytest
import uvloop
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from testkit.exchange_hands import still
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidHandshake

from services.sandbox.faults.http import FaultyApp, token_in
from services.sandbox.faults.limits import LIMITS, RateLimits, class_of
from services.sandbox.faults.ports import Fault, FaultKind
from services.sandbox.faults.rules import OF_FRAMES, OF_REQUESTS, FaultRule, RuleFaults, seeded_rules
from services.sandbox.faults.sockets import FaultySocket
from services.sandbox.ports import BrokerName
from services.sandbox.server import FaceServer
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.runtime.http.server import bind

KITE, DHAN, UPSTOX = BrokerName.KITE, BrokerName.DHAN, BrokerName.UPSTOX
ORDERS = "POST /orders/regular"


def rules(*found, now_ns=0):
    return RuleFaults(lambda: now_ns, [FaultRule.model_validate(one) for one in found])


def decided(faults, count, endpoint=ORDERS, broker=KITE, account="A"):
    return [faults.for_request(broker, endpoint=endpoint, account=account) is not None for _ in range(count)]


def test_a_rule_strikes_what_it_names_and_nothing_else():
    faults = rules({"kind": "DROP", "broker": "kite", "endpoint": "POST /orders/*", "account": "A*"})
    assert decided(faults, 1) == [True]
    assert decided(faults, 1, endpoint="GET /orders") == [False]
    assert decided(faults, 1, broker=DHAN) == [False]
    assert decided(faults, 1, account="B") == [False]
    assert faults.for_request(KITE, endpoint=ORDERS, account=None) is None
    assert faults.for_frame(KITE, stream="feed", account="A") is None


def test_count_and_skip_say_when():
    assert decided(rules({"kind": "DROP", "skip": 2, "count": 1}), 5) == [False, False, True, False, False]


def test_times_are_of_the_market_s_clock():
    for at_ns, struck in ((9, False), (10, True), (11, True), (12, False)):
        day_ns = 20_000 * 86_400 * NANOSECONDS_PER_SECOND  # midnight UTC is 05:30 in India
        now_ns = day_ns + (at_ns * 3600 - 19_800) * NANOSECONDS_PER_SECOND
        faults = rules({"kind": "DROP", "since": "10:00", "until": "12:00"}, now_ns=now_ns)
        assert decided(faults, 1) == [struck]


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "DROP", "since": "12:00", "until": "10:00"}, {"kind": "STACKED", "endpoint": "POST /orders/*"},
        {"kind": "DROP", "endpoint": "feed"},
    ],
)  # fmt: skip
def test_a_rule_that_could_never_strike_is_refused(rule):
    with pytest.raises(ValidationError):
        rules(rule)


def test_the_same_seed_meets_the_same_faults_and_about_as_many_as_asked():
    rule = {"kind": "DROP", "probability": 0.2, "seed": 7}
    first, second = decided(rules(rule), 2000), decided(rules(rule), 2000)
    assert first == second
    assert 300 < sum(first) < 500
    assert first != decided(rules({**rule, "seed": 8}), 2000)


def test_seeded_rules_hold_every_kind():
    found = seeded_rules(5)
    assert {rule.kind for rule in found} == set(FaultKind)
    assert found == seeded_rules(5)
    assert set(FaultKind) == OF_FRAMES | OF_REQUESTS


def test_rules_are_listed_counted_and_removed():
    faults = rules({"kind": "DROP", "count": 1}, {"kind": "DELAY"})
    decided(faults, 3)
    assert [(number, rule.kind, seen, done) for number, rule, seen, done in faults.listed()] == [
        (1, FaultKind.DROP, 3, 1), (2, FaultKind.DELAY, 2, 2)
    ]  # fmt: skip
    assert faults.remove(2)
    assert not faults.remove(2)
    faults.clear()
    assert not faults.listed()


@pytest.mark.parametrize(
    "bad",
    [{"kind": "NOPE"}, {"kind": "DROP", "probability": 0}, {"kind": "DROP", "status": 200}, {"kind": "DROP", "x": 1}],
)
def test_a_bad_rule_is_refused_by_field(bad):
    with pytest.raises(ValidationError):
        FaultRule.model_validate(bad)


# limits


@pytest.mark.parametrize(
    ("broker", "method", "path", "name"),
    [
        (KITE, "POST", "/orders/regular", "orders"), (KITE, "DELETE", "/orders/regular/1", "orders"),
        (KITE, "GET", "/orders", "other"), (KITE, "GET", "/quote/ltp", "quotes"),
        (KITE, "POST", "/gtt/triggers", "orders"),
        (KITE, "GET", "/instruments/historical/1/minute", "history"), (KITE, "GET", "/instruments/NFO", None),
        (DHAN, "POST", "/v2/orders", "orders"), (DHAN, "POST", "/v2/marketfeed/ltp", "quotes"),
        (DHAN, "POST", "/v2/charts/intraday", "history"), (DHAN, "POST", "/v2/charts/historical", "history"),
        (DHAN, "POST", "/v2/optionchain", "chain"), (DHAN, "GET", "/v2/positions", "other"),
        (UPSTOX, "POST", "/v3/order/place", "orders"), (UPSTOX, "GET", "/v2/order/history", "other"),
        (UPSTOX, "GET", "/v2/option/chain", "chain"),
        (UPSTOX, "GET", "/v3/historical-candle/x/minutes/1/a/b", "history"),
        (UPSTOX, "POST", "/v2/login/authorization/token", None),
    ],
)  # fmt: skip
def test_requests_are_counted_in_their_class(broker, method, path, name):
    assert class_of(method, path) == name
    assert name is None or LIMITS[broker].get(name)


@given(st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from("AB")), max_size=120))
def test_no_account_gets_more_than_its_limit_in_a_second_and_none_pays_for_another(asked):
    limits, given_out = RateLimits(), {}
    for milliseconds, account in sorted(asked):
        broken = limits.exceeded(KITE, account, method="POST", path="/orders/x", now_ns=milliseconds * 1_000_000)
        key = (account, milliseconds // 1000)
        count = given_out.get(key, 0)
        assert (broken is None) == (count < 10)
        if broken is None:
            given_out[key] = count + 1


def test_limits_can_be_widened_and_switched_off():
    for scale, allowed in ((2.0, 2), (0.0, 50)):
        limits = RateLimits(scale=scale)
        found = [limits.exceeded(KITE, "A", method="GET", path="/quote", now_ns=0) for _ in range(50)]
        assert sum(one is None for one in found) == allowed
    assert {limit.count for limit in LIMITS[KITE]["orders"]} == {10, 400, 5000}


def test_dhan_counts_chains_by_underlying_and_expiry():
    limits = RateLimits()
    chain = {"method": "POST", "path": "/v2/optionchain"}
    second = NANOSECONDS_PER_SECOND
    asked = [(0, "13 a"), (second, "13 a"), (second, "13 b"), (second, "25 a"), (3 * second, "13 a")]
    found = [limits.exceeded(DHAN, "A", now_ns=at_ns, detail=which, **chain) for at_ns, which in asked]
    assert [one is None for one in found] == [True, False, True, True, True]


# requests, over a real socket


def face(faults):
    app = FastAPI()
    app.state.done = 0

    @app.post("/orders/regular")
    async def place(_request: Request) -> dict[str, str]:
        app.state.done += 1
        return {"status": "success", "order_id": "1" * 40}

    @app.websocket("/feed")
    async def feed(socket: WebSocket) -> None:
        await socket.accept()
        out = FaultySocket(socket, faults=faults, broker=KITE, stream="feed", account="A")
        try:
            while True:
                await out.send_text(await socket.receive_text())
        except (WebSocketDisconnect, RuntimeError):
            return

    app.state.error_body = lambda status, text: {"status": "error", "code": status, "message": text}
    return app


class Served:
    """A face behind faults on a real port."""

    def __init__(self, *found):
        self.exchange, self.faults = still(instruments=1), rules(*found)
        self.app = face(self.faults)
        wrapped = FaultyApp(self.app, broker=KITE, exchange=self.exchange, faults=self.faults, limits=RateLimits())
        listener = bind("127.0.0.1", 0, setting="TEST")
        self.port = listener.getsockname()[1]
        self.server, self.stop = FaceServer(wrapped, listener), asyncio.Event()

    async def __aenter__(self):
        self.task = asyncio.create_task(self.server.run(self.stop))
        return self

    async def __aexit__(self, *_):
        self.stop.set()
        await self.task

    @property
    def feed(self):
        return f"ws://127.0.0.1:{self.port}/feed"

    async def ask(self, path="/orders/regular"):
        """The raw reply; empty where the connection was cut."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@pytest.mark.parametrize(
    ("kind", "fragments", "done"),
    [
        ("DROP", [], 0),
        ("ACCEPT_THEN_DROP", [], 1),
        ("SERVER_ERROR", [b"503", b'"status": "error"'], 0),
        ("ACCEPT_THEN_ERROR", [b"503", b'"code": 503'], 1),
        ("HTML", [b"502", b"<html>"], 0),
        ("EMPTY", [b"200", b"content-length: 0"], 1),
        ("TOO_MANY", [b"429", b"Too many requests"], 0),
        ("DELAY", [b"200", b"success"], 1),
    ],
)
async def test_a_request_goes_wrong_in_its_way(kind, fragments, done):
    async with Served({"kind": kind, "status": 503, "seconds": 0.01}) as served:
        reply = await served.ask()
    assert all(fragment in reply for fragment in fragments), reply
    assert bool(reply) == bool(fragments)
    assert served.app.state.done == done


async def test_a_truncated_reply_ends_in_the_middle_of_what_it_promised():
    async with Served({"kind": "TRUNCATED"}) as served:
        head, _, body = (await served.ask()).partition(b"\r\n\r\n")
    promised = int(next(line for line in head.split(b"\r\n") if line.startswith(b"content-length")).split()[1])
    assert 0 < len(body) < promised


async def test_the_eleventh_order_of_a_market_second_is_one_too_many():
    async with Served() as served:
        replies = [await served.ask() for _ in range(12)]
        assert [b" 200 " in reply for reply in replies] == [True] * 10 + [False] * 2
        assert b"429" in replies[-1]
        served.exchange.advance(1)
        assert b" 200 " in await served.ask()


async def echoed(socket, text):
    """What comes back to a text within a moment; None where nothing does."""
    await socket.send(text)
    try:
        async with asyncio.timeout(0.3):
            return await socket.recv()
    except TimeoutError:
        return None


async def test_a_disconnected_socket_ends_without_a_closing_word():
    async with Served({"kind": "DISCONNECT", "skip": 1}) as served, connect(served.feed) as socket:
        assert await echoed(socket, "one") == "one"
        with pytest.raises(ConnectionClosedError):
            await echoed(socket, "two")


async def test_a_silent_socket_still_answers_pings_and_a_half_open_one_does_not():
    for kind, answers in (("SILENT", True), ("HALF_OPEN", False)):
        async with Served({"kind": kind, "skip": 1}) as served, connect(served.feed, close_timeout=0.1) as socket:
            assert await echoed(socket, "one") == "one"
            assert await echoed(socket, "two") is None
            pong = await socket.ping()
            done, _ = await asyncio.wait([pong], timeout=0.5)
            assert bool(done) == answers


def test_connections_are_cut_and_frozen_on_uvloop_too():
    async def all_three():
        async with Served({"kind": "DROP", "endpoint": "POST *"}) as served:
            assert await served.ask() == b""
        for kind in ("DISCONNECT", "HALF_OPEN"):
            async with Served({"kind": kind}) as served, connect(served.feed, close_timeout=0.1) as socket:
                if kind == "DISCONNECT":
                    with pytest.raises(ConnectionClosedError):
                        await echoed(socket, "one")
                else:
                    assert await echoed(socket, "one") is None
                    done, _ = await asyncio.wait([await socket.ping()], timeout=0.5)
                    assert not done

    uvloop.run(all_three())


async def test_a_handshake_can_be_cut():
    async with Served({"kind": "DROP", "endpoint": "WS /feed", "count": 1}) as served:
        with pytest.raises((OSError, InvalidHandshake, EOFError)):
            await connect(served.feed)
        async with connect(served.feed) as socket:
            assert await echoed(socket, "one") == "one"


@pytest.mark.parametrize(
    ("broker", "headers", "query"),
    [
        (KITE, {"authorization": "token key:TOKEN"}, ""), (KITE, {}, "api_key=k&access_token=TOKEN"),
        (DHAN, {"access-token": "TOKEN"}, ""), (DHAN, {}, "version=2&token=TOKEN&clientId=1"),
        (UPSTOX, {"authorization": "Bearer TOKEN"}, ""),
    ],
)  # fmt: skip
def test_a_token_is_found_where_each_broker_carries_it(broker, headers, query):
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert token_in(broker, {"headers": raw, "query_string": query.encode()}) == "TOKEN"
    assert not token_in(broker, {"headers": [], "query_string": b""})


# frames


class Wire:
    """Remembers what is sent."""

    def __init__(self):
        self.sent = []

    async def send_bytes(self, data):
        self.sent.append(data)

    async def send_text(self, data):
        self.sent.append(data)


class Once:
    """One fault, for the first frame."""

    def __init__(self, kind):
        self.kinds = [kind]

    def for_request(self, broker, *, endpoint, account):
        return None

    def for_frame(self, broker, *, stream, account):
        return Fault(self.kinds.pop()) if self.kinds else None


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (FaultKind.SILENT, []),
        (FaultKind.DISCONNECT, []),
        (FaultKind.HALF_OPEN, []),
        (FaultKind.TRUNCATED_FRAME, [b"aa", b"bb", b"cc"]),
        (FaultKind.DUPLICATE, [b"aaaa", b"aaaa", b"bb", b"cc"]),
        (FaultKind.STACKED, [b"aaaabb", b"cc"]),
        (FaultKind.SHUFFLE_UPDATES, [b"bb", b"aaaa", b"cc"]),
    ],
)
async def test_a_frame_goes_wrong_in_its_way(kind, sent):
    wire = Wire()
    socket = FaultySocket(wire, faults=Once(kind), broker=DHAN, stream="feed", account="A", join=bytes.__add__)
    for frame in (b"aaaa", b"bb", b"cc"):
        await socket.send_bytes(frame)
    assert wire.sent == sent
    assert socket.mute == (not sent)


async def test_without_a_way_to_join_frames_stay_apart():
    wire = Wire()
    socket = FaultySocket(wire, faults=Once(FaultKind.STACKED), broker=UPSTOX, stream="orders", account="A")
    for text in ("one", "two"):
        await socket.send_text(text)
    assert wire.sent == ["one", "two"]
