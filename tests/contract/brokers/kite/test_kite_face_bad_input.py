"""Whatever a client sends, the face answers in Kite's envelope with a 4xx, and nothing happens to the account."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.broker_hands import Loop

from services.sandbox.exchange import SandboxExchange, generated_exchange
from services.sandbox.faces.kite.app import create_app
from services.sandbox.faces.kite.subscriptions import INSTRUMENTS_MAX, BadMessage, Subscriptions
from services.sandbox.faults.rules import RuleFaults
from services.sandbox.options import MarketOptions
from services.sandbox.ports import BrokerName

ODD = st.one_of(
    st.text(max_size=30), st.integers(-(10**20), 10**20).map(str), st.floats().map(str),
    st.sampled_from(["", "null", "NaN", "1e400", "-1", "0", "0.001", "９", "[]", "{}", "true", "\x00"]),
)  # fmt: skip
ORDER = {
    "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": "1", "product": "MIS",
    "order_type": "LIMIT", "price": "1500", "trigger_price": "1400", "validity": "DAY", "tag": "tag",
    "disclosed_quantity": "0", "market_protection": "-1", "validity_ttl": "5", "iceberg_legs": "2",
    "iceberg_quantity": "1", "autoslice": "true",
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
PATHS = st.sampled_from(
    [
        ("GET", "/orders/{}"), ("GET", "/orders/{}/trades"), ("PUT", "/orders/regular/{}"),
        ("DELETE", "/orders/regular/{}"), ("POST", "/orders/{}"), ("GET", "/gtt/triggers/{}"),
        ("DELETE", "/gtt/triggers/{}"), ("PUT", "/gtt/triggers/{}"), ("GET", "/user/margins/{}"),
        ("GET", "/instruments/{}"), ("GET", "/instruments/historical/{}/minute"), ("GET", "/quote?i={}"),
        ("GET", "/instruments/historical/408065/{}"), ("GET", "/instruments/trigger_range/{}?i=NSE:INFY"),
        ("GET", "/instruments/historical/408065/day?from={}&to=2026-11-25"), ("GET", "/mf/orders/{}"),
        ("POST", "/session/token?checksum={}"), ("DELETE", "/session/token?refresh_token={}"),
        ("GET", "/connect/login?api_key=k&redirect_url={}"), ("PUT", "/portfolio/positions?exchange={}"),
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def exchange() -> SandboxExchange:
    return generated_exchange(MarketOptions(seed=3, speed=0, instruments=1))


class Client:
    """Asks the face without a socket in between."""

    def __init__(self, exchange: SandboxExchange) -> None:
        token = exchange.login(BrokerName.KITE, "FUZZ").value
        self._loop = Loop()
        self._http = httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(exchange, RuleFaults(lambda: 0))), base_url="http://face",
            headers={"Authorization": f"token key:{token}"},
        )  # fmt: skip

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._loop(self._http.request(method, path, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)

    def close(self) -> None:
        self._loop(self._http.aclose())
        self._loop.close()


@pytest.fixture(scope="module")
def client(exchange: SandboxExchange) -> Iterator[Client]:
    made = Client(exchange)
    yield made
    made.close()


def check(answer: Any) -> None:
    """Success or a 4xx, in the envelope; redirects and pages only where the login sends them."""
    assert answer.status_code < 500, answer.text
    if answer.headers["content-type"].startswith("application/json"):
        body = answer.json()
        assert body["status"] == ("success" if answer.status_code < 300 else "error")


@given(changes=st.dictionaries(st.sampled_from(sorted(ORDER)), ODD | st.none(), min_size=1, max_size=4),
       variety=st.sampled_from(["regular", "amo", "co", "iceberg", "auction", "bo"]))  # fmt: skip
def test_orders_with_odd_fields(client: Client, changes: dict[str, str | None], variety: str) -> None:
    fields = {name: value for name, value in {**ORDER, **changes}.items() if value is not None}
    check(client.post(f"/orders/{variety}", data=fields))


@given(body=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_bodies_that_are_no_orders(client: Client, body: bytes) -> None:
    for path in ("/margins/orders", "/margins/basket", "/charges/orders", "/orders/regular", "/gtt/triggers"):
        answer = client.post(path, content=body)
        check(answer)
        assert answer.status_code == 400


@given(condition=JSON, orders=JSON, kind=st.sampled_from(["single", "two-leg", "three"]))
def test_triggers_of_odd_json(client: Client, condition: object, orders: object, kind: str) -> None:
    form = {"type": kind, "condition": json.dumps(condition), "orders": json.dumps(orders)}
    assert client.post("/gtt/triggers", data=form).status_code == 400


ODD_VALUES = st.lists(st.integers() | st.floats() | st.text(max_size=5) | st.none(), max_size=3)
LEG_FIELDS = st.sampled_from(["transaction_type", "quantity", "order_type", "product", "price"])


@given(values=ODD_VALUES, order=st.dictionaries(LEG_FIELDS, ODD, max_size=5))
def test_triggers_with_odd_values(client: Client, values: list[object], order: dict[str, str]) -> None:
    condition = {"exchange": "NSE", "tradingsymbol": "INFY", "trigger_values": values, "last_price": 1500}
    form = {"type": "single", "condition": json.dumps(condition), "orders": json.dumps([order])}
    check(client.post("/gtt/triggers", data=form))


@given(where=PATHS, odd=st.text(st.characters(codec="utf-8"), max_size=25))
def test_odd_paths_and_queries(client: Client, where: tuple[str, str], odd: str) -> None:
    method, path = where
    check(client.request(method, path.format(quote(odd, safe=""))))


@pytest.mark.parametrize("path", ["/", "/nowhere", "/orders/regular/1/2/3"])
def test_a_path_nobody_knows_is_a_404_in_kites_envelope(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["error_type"]) == (404, "GeneralException")


def test_a_method_that_is_not_there_is_a_405(client: Client) -> None:
    assert client.request("PATCH", "/orders").status_code == 405


@pytest.mark.parametrize(
    "header", [None, "", "token", "token :", "token key:", "token :tok", "Bearer key:tok", "token key:tok:more", "é"]
)
def test_a_header_that_is_no_login_is_a_token_exception(client: Client, header: str | None) -> None:
    headers = {"Authorization": (header or "").encode("latin-1")}
    answer = client.get("/user/profile", headers=headers)
    assert (answer.status_code, answer.json()["error_type"]) == (403, "TokenException")


def test_a_body_of_megabytes_is_refused(client: Client) -> None:
    answer = client.post("/orders/regular", content=b"quantity=" + b"1" * 2_000_000)
    assert answer.status_code == 400


def test_nothing_of_all_this_left_a_position(client: Client, exchange: SandboxExchange) -> None:
    """Orders that were well-formed by chance may stand; they are all the account has."""
    placed = {order.request.instrument for order in exchange.orders("FUZZ")}
    assert {position.instrument for position in exchange.positions("FUZZ")} <= placed


# subscriptions


@given(text=st.text(max_size=60) | JSON.map(json.dumps))
def test_a_subscription_text_is_understood_or_refused(exchange: SandboxExchange, text: str) -> None:
    subscriptions = Subscriptions(exchange)
    try:
        subscriptions.apply(text)
    except BadMessage:
        assert not subscriptions.modes.any()


def test_more_than_three_thousand_instruments_are_refused_whole() -> None:
    large = generated_exchange(MarketOptions(seed=3, speed=0, instruments=INSTRUMENTS_MAX + 50))
    subscriptions = Subscriptions(large)
    tokens = [one.kite_token for one in large.instruments]
    with pytest.raises(BadMessage, match="3000"):
        subscriptions.apply(json.dumps({"a": "subscribe", "v": tokens}))
    assert not subscriptions.modes.any()
    assert len(subscriptions.apply(json.dumps({"a": "subscribe", "v": tokens[:INSTRUMENTS_MAX]}))) == INSTRUMENTS_MAX
    with pytest.raises(BadMessage):
        subscriptions.apply(json.dumps({"a": "mode", "v": ["full", tokens[-1:]]}))
    subscriptions.apply(json.dumps({"a": "unsubscribe", "v": tokens[:1]}))
    assert len(subscriptions.apply(json.dumps({"a": "mode", "v": ["full", tokens[-1:]]}))) == 1
