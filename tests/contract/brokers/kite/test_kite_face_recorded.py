"""Every request that the official SDK was recorded to send gets a sensible answer; replies have the documented keys."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect
from testkit.kite_desk import BUY, FUTURE, SHARE, KiteDesk
from testkit.kite_hands import API_KEY

from services.sandbox.faces.kite.logins import SANDBOX_API_SECRET
from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import Product

FOLDER = Path(__file__).parents[4].parent / "shared" / "fixtures" / "kite"
RECORDED = FOLDER / "sdk_requests.json"
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not RECORDED.exists(), reason="shared/fixtures is not beside this checkout"),
]
# What a sandbox that never saw the recording's orders, tokens and prices says to these; all else succeeds.
REFUSED = {
    "place_order amo": 400,  # the market is open
    "modify_order": 400,
    "cancel_order": 400,
    "order_history": 400,
    "order_trades": 400,
    "convert_position": 400,  # nothing is held
    "historical_data day continuous": 400,  # a future that has expired
    "delete_gtt": 404,
    "generate_session": 403,
    "invalidate_access_token": 403,
}


def recorded() -> list[dict[str, Any]]:
    return json.loads(RECORDED.read_text()) if RECORDED.exists() else []


def mock(name: str) -> Any:
    return json.loads((FOLDER / "mocks" / f"{name}.json").read_text())["data"]


@pytest.mark.parametrize("call", recorded(), ids=lambda call: call["call"])
def test_a_recorded_request_is_answered_sensibly(desk: KiteDesk, call: dict[str, Any]) -> None:
    for request in call["requests"]:
        headers = {**request["headers"], "Authorization": f"token {API_KEY}:{desk.token}"}
        answer = requests.request(
            request["method"], desk.url + request["path"], headers=headers, data=request["body"].encode(), timeout=5
        )
        assert answer.status_code == REFUSED.get(call["call"], 200), answer.text
        if "csv" in answer.headers["content-type"]:
            assert answer.text.startswith("instrument_token,exchange_token,tradingsymbol")
            continue
        body = answer.json()
        assert body["status"] == ("success" if answer.status_code == 200 else "error")
        assert ("data" in body) if answer.status_code == 200 else body["error_type"].endswith("Exception")
        assert "APIKEY" not in answer.text


# Keys of documented replies. What ours has beside them is named; what it lacks is not allowed.


def lacking(documented: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Paths of keys that the documented reply has in every one of its rows and ours has not, or of another type."""
    if isinstance(documented, dict):
        if not isinstance(ours, dict):
            yield f"{path} is no object"
            return
        for key, value in documented.items():
            if key in ours:
                yield from lacking(value, ours[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(documented, list):
        if not isinstance(ours, list):
            yield f"{path} is no list"
        elif documented and ours:
            yield from lacking(documented[0], ours[0], f"{path}[]")
    elif documented is not None and ours is not None and not _alike(documented, ours):
        yield f"{path}: {type(ours).__name__} for {type(documented).__name__}"


def _alike(documented: object, ours: object) -> bool:
    numbers = (int, float)
    if isinstance(documented, bool) or isinstance(ours, bool):
        return type(documented) is type(ours)
    return (isinstance(documented, numbers) and isinstance(ours, numbers)) or type(documented) is type(ours)


@pytest.fixture
def active(desk: KiteDesk) -> KiteDesk:
    """An account in which everything has happened that the documents show."""
    desk.placed("sdk", desk.ask(SHARE, OrderType.MARKET, product=Product.DELIVERY))
    desk.placed("sdk", desk.ask(FUTURE, OrderType.LIMIT, price=-3))
    last = int(desk.quote(SHARE)["price_paise"]) / 100
    desk.sdk.kite.place_gtt(
        "two-leg", "INFY", "NSE", [desk.trigger(SHARE, BUY, -2) / 100, desk.trigger(SHARE, BUY, 2) / 100], last,
        [{"transaction_type": "SELL", "quantity": 1, "order_type": "LIMIT", "product": "CNC", "price": 1500}] * 2,
    )  # fmt: skip
    return desk


def raw(desk: KiteDesk, path: str) -> Any:
    headers = {"Authorization": f"token {API_KEY}:{desk.token}"}
    return requests.get(desk.url + path, headers=headers, timeout=5).json()["data"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("profile", "/user/profile"),
        ("margins", "/user/margins"),
        ("margins_equity", "/user/margins/equity"),
        ("orders", "/orders"),
        ("trades", "/trades"),
        ("positions", "/portfolio/positions"),
        ("quote", "/quote?i=NSE:INFY"),
        ("ohlc", "/quote/ohlc?i=NSE:INFY"),
        ("ltp", "/quote/ltp?i=NSE:INFY"),
        ("gtt_get_orders", "/gtt/triggers"),
        ("trigger_range", "/instruments/trigger_range/buy?i=NSE:INFY&i=NSE:RELIANCE"),
    ],
)
def test_a_reply_has_every_documented_key(active: KiteDesk, name: str, path: str) -> None:
    assert list(lacking(mock(name), raw(active, path))) == []


def test_an_orders_own_replies_have_every_documented_key(active: KiteDesk) -> None:
    order_id = raw(active, "/trades")[0]["order_id"]
    assert list(lacking(mock("order_info"), raw(active, f"/orders/{order_id}"))) == []
    assert list(lacking(mock("order_trades"), raw(active, f"/orders/{order_id}/trades"))) == []


def test_margins_of_orders_and_charges_have_every_documented_key(active: KiteDesk) -> None:
    order = {
        "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "variety": "regular", "product": "CNC",
        "order_type": "MARKET", "quantity": 1, "price": 0, "trigger_price": 0,
    }  # fmt: skip
    assert list(lacking(mock("order_margins"), active.sdk.kite.order_margins([order]))) == []
    assert list(lacking(mock("basket_margins"), active.sdk.kite.basket_order_margins([order]))) == []
    note = active.sdk.kite.get_virtual_contract_note([{**order, "average_price": 1500, "order_id": "1"}])
    assert list(lacking(mock("virtual_contract_note"), note)) == []


def test_history_has_the_documented_shape(active: KiteDesk) -> None:
    path = "/instruments/historical/408065/minute?from=2026-11-25+09:15:00&to=2026-11-25+09:20:00"
    for name, oi in (("historical_minute", 0), ("historical_oi", 1)):
        documented, ours = mock(name)["candles"][0], raw(active, f"{path}&oi={oi}")["candles"][0]
        assert len(ours) == len(documented)
        assert len(ours[0]) == len(documented[0])
        assert ours[0].endswith("+0530")


def test_the_session_of_a_login_has_every_documented_key(active: KiteDesk) -> None:
    answer = requests.get(f"{active.url}/connect/login?api_key={API_KEY}", allow_redirects=False, timeout=5)
    kite = KiteConnect(API_KEY, root=active.url)
    session = kite.generate_session(answer.headers["location"].rpartition("request_token=")[2], SANDBOX_API_SECRET)
    session["login_time"] = str(session["login_time"])
    assert list(lacking(mock("generate_session"), session)) == []


def test_the_documented_instrument_columns_are_ours(active: KiteDesk) -> None:
    documented = (FOLDER / "mocks" / "instruments_nse.csv").read_text().splitlines()[0]
    headers = {"Authorization": f"token {API_KEY}:{active.token}"}
    ours = requests.get(f"{active.url}/instruments/NSE", headers=headers, timeout=5).text.splitlines()[0]
    assert ours == documented
