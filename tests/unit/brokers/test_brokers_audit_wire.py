"""Whatever an adapter asks of its broker is written, with the reply and without a secret, for each adapter."""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import pytest
from testkit.scripted_server import HTML, Reply, ScriptedServer
from testkit.waiting import WALL_TIMERS

from tradebus.audit.exchange import BrokerExchange
from tradebus.brokers.audit.hiding import without_secrets
from tradebus.brokers.audit.spool import Spool
from tradebus.brokers.audit.wire import KEPT_BYTES_OF_READS
from tradebus.brokers.credentials import Credential
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.redaction import Redactor
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.registry import ADAPTERS, Broker, Known, open_broker
from tradebus.contracts.instrument_key import InstrumentKey
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.clock import WallClock
from tradebus.kernel.ids import RandomIds, derive_tag
from tradebus.trading.orders import OrderModification, OrderRequest

TOKEN, SECRET, KEY = "tok-0123456789-secret", "app-secret-987654", "public-key-55"
FRESH = "fresh-token-made-by-the-login-4711"
SEGMENTS = {"kite": "NSE", "dhan": "NSE_EQ", "upstox": "NSE_EQ"}
ORDER = OrderRequest(
    "s1", derive_tag("a"), 0, "INFY", Transaction.BUY, OrderType.LIMIT, 1, 1, 5, at_ns=1, price_paise=150_000
)  # fmt: skip
CHANGE = OrderModification(2, 150_100, None, at_ns=2)


def known(broker: Broker) -> Known:
    listed = ListedInstrument(InstrumentKey.parse("NSE:INFY"), "1594", SEGMENTS[broker.name], "INFY", 1, 5, None)
    return Known(listing_of=lambda _: listed, instrument_of=lambda *_: 0, listings=lambda: [(0, listed)])


Ask = Callable[[Broker], Awaitable[object]]
ASKS: dict[str, Ask] = {
    "place": lambda broker: broker.orders(known(broker)).place(ORDER),
    "modify": lambda broker: broker.orders(known(broker)).modify("s1", "2611250001", CHANGE),
    "cancel": lambda broker: broker.orders(known(broker)).cancel("s1", "2611250001", at_ns=3),
    "find_by_tag": lambda broker: broker.orders(known(broker)).find_by_tag("s1", ORDER.tag),
    "order_book": lambda broker: broker.orders(known(broker)).order_book("s1"),
    "positions": lambda broker: broker.account.positions(),
    "margins": lambda broker: broker.account.margins(),
    "holdings": lambda broker: broker.account.holdings(),
    "master": lambda broker: broker.reference.instruments(),
    "check": lambda broker: broker.session.check(),
    "login": lambda broker: broker.session.complete_login("1234:987654" if broker.name == "dhan" else "answer31337"),
}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(lambda asked: refusal()) as running:
        yield running


def refusal() -> Reply:
    """A refusal of some broker's; it also says our token, as a proxy's page might."""
    return Reply({"status": "error", "message": f"no {TOKEN}", "access_token": FRESH, "data": {"token": FRESH}}, 400)


async def asked(name: str, whats: Iterable[str], server: ScriptedServer, folder: Path) -> list[BrokerExchange]:
    """What is in the spool once all of it was asked."""
    spool = Spool(folder, name="test", clock=WallClock(), ids=RandomIds())
    log, credential = spool.of(f"{name}:mine"), Credential(name, KEY, SECRET, TOKEN)
    for what in whats:
        broker = open_broker(name, credential, url=server.url, timers=WALL_TIMERS, log=log)
        before = len(server.asked)
        try:
            await ASKS[what](broker)
        except BrokerError:
            pass  # the answer is none that the adapter likes
        finally:
            broker.close()
        assert len(server.asked) > before, f"{what}: nothing was asked"
    return spool.take().exchanges


@pytest.mark.parametrize("name", ADAPTERS)
async def test_every_request_is_written_with_its_reply_and_without_a_secret(name: str, server, tmp_path) -> None:
    found = await asked(name, ASKS, server, tmp_path)
    assert [(one.method, one.url.partition("?")[0].removeprefix(server.url)) for one in found] == [
        (one.method, one.path) for one in server.asked
    ], "the server's own list is the truth"
    for one in found:
        assert (one.account, one.status) == (f"{name}:mine", 400)
        assert one.reply.startswith('{"status": "error"')
        assert one.reply_bytes == len(refusal().bytes())
    written = b"".join(path.read_bytes() for path in tmp_path.glob("*/*.jsonl")).decode()
    for secret in (TOKEN, SECRET, FRESH, "answer31337", "987654", "1234:", "=1234&"):
        assert secret not in written, secret


@pytest.mark.parametrize("name", ADAPTERS)
async def test_an_order_is_written_as_it_was_sent(name: str, server, tmp_path) -> None:
    [one] = await asked(name, ["place"], server, tmp_path)
    assert ORDER.tag in one.body
    assert one.method == "POST"


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize(
    ("reply", "status", "problem"),
    [
        (Reply({"status": "success"}, cut=4), 200, True),
        (Reply(b"<html>who are you</html>", 502, HTML), 502, False),
        (Reply(b"", 204), 204, False),
    ],
)
async def test_what_came_of_a_request_is_written_whatever_that_is(name, reply, status, problem, server, tmp_path):
    server.otherwise = lambda _: reply
    [one] = await asked(name, ["place"], server, tmp_path)
    assert (one.status, bool(one.problem)) == (status, problem)
    assert one.answered_at


@pytest.mark.parametrize("name", ADAPTERS)
async def test_a_broker_that_is_not_there_is_written(name: str, tmp_path) -> None:
    with ScriptedServer(lambda asked: refusal()) as gone:
        pass
    spool = Spool(tmp_path, name="test", clock=WallClock(), ids=RandomIds())
    credential = Credential(name, KEY, SECRET, TOKEN)
    broker = open_broker(name, credential, url=gone.url, timers=WALL_TIMERS, log=spool.of("a"))
    await ASKS["place"](broker)
    broker.close()
    [one] = spool.take().exchanges
    assert (one.status, one.reply) == (None, "")
    assert one.problem


async def test_a_long_reply_is_cut_and_its_size_and_digest_are_of_the_whole(server, tmp_path) -> None:
    body = json.dumps({"status": "success", "data": [{"access_token": FRESH, "n": n} for n in range(3_000)]}).encode()
    server.otherwise = lambda _: Reply(body)
    [one] = await asked("kite", ["positions"], server, tmp_path)
    assert one.reply_bytes == len(body)
    assert len(one.reply) <= KEPT_BYTES_OF_READS
    assert FRESH[:8] not in one.reply


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"access_token": "abc", "user": "x"}', '{"access_token": "***", "user": "x"}'),
        ('{"data":{"refresh_token":"a\\"b","n":1}}', '{"data":{"refresh_token":"***","n":1}}'),
        ('{"pin": 1234, "quantity": 65}', '{"pin": ***, "quantity": 65}'),
        ("request_token=abc&checksum=def&tag=tb1", "request_token=***&checksum=***&tag=tb1"),
        ("http://b/login?code=abc&state=x", "http://b/login?code=***&state=x"),
        ('{"errorCode": "UDAPI100050", "code": "E1"}', '{"errorCode": "UDAPI100050", "code": "E1"}'),
        ('{"authorized_redirect_uri": "wss://b/?requestId=1&code=2"}', '{"authorized_redirect_uri": "***"}'),
        ("instrument_token=123&quantity=65", "instrument_token=123&quantity=65"),
        ('{"instrument_token": 123}', '{"instrument_token": 123}'),
        ("what nobody but the login knows", "what *** but the login knows"),
    ],
)
def test_what_a_name_gives_away_is_hidden_and_nothing_else(text: str, kept: str) -> None:
    assert without_secrets(text, Redactor(["nobody"])) == kept
