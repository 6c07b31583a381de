"""Requests at the face as they come: the recorded ones of the SDK, the login, and what makes no sense."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import upstox_client
from testkit.upstox_desk import Desk
from testkit.upstox_hands import VERSION

from tradebus.brokers.account import SessionState

RECORDED = Path(__file__).parents[4].parent / "shared" / "fixtures" / "upstox" / "sdk_requests.json"
ORDER_OF_NOBODY = "251120000000001"
ANSWERS = (200, 400, 401)


class Unredirected(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_given: Any) -> None:
        return None


OPENER = urllib.request.build_opener(Unredirected)


def ask(url: str, method: str = "GET", *, token: str | None = None, body: bytes | None = None, **headers: str):
    """Status, headers and body, whatever the status."""
    request = urllib.request.Request(url, body, method=method)
    for name, value in {"Content-Type": "application/json", **headers}.items():
        request.add_header(name, value)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with OPENER.open(request, timeout=10) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def recorded() -> list[Any]:
    if not RECORDED.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"{RECORDED.name} does not lie beside the checkout"))]
    calls = json.loads(RECORDED.read_text())
    return [pytest.param(one, id=f"{call['call']}".replace(" ", "-")) for call in calls for one in call["requests"]]


@pytest.mark.shared_data
@pytest.mark.parametrize("request_", recorded())
def test_every_recorded_request_of_the_sdk_is_answered_in_upstox_words(desk: Desk, request_: dict[str, Any]) -> None:
    headers = {name: value for name, value in request_["headers"].items() if name != "Authorization"}
    token = desk.token if "Authorization" in request_["headers"] else None
    url = desk.box.upstox_url + request_["path"]
    status, _, body = ask(url, request_["method"], token=token, body=request_["body"].encode() or None, **headers)
    said = json.loads(body)
    assert status in ANSWERS, said
    if status == 200:
        assert said["status"] == "success"
        return
    # What does not exist here: an order, a contract of another day, a login code that nobody gave out.
    assert said["status"] == "error"
    code = said["errors"][0]["errorCode"]
    assert code in ("UDAPI100010", "UDAPI100011", "UDAPI100057", "UDAPI1036", "UDAPI1109", "UDAPI1111"), said
    assert (code == "UDAPI100010") == (ORDER_OF_NOBODY in request_["path"] + request_["body"])


def test_the_login_goes_from_the_browser_to_a_token(desk: Desk) -> None:
    session = desk.ours.session
    address = session.login_url()
    assert address is not None
    status, headers, _ = ask(f"{address}&state=s1&user_id={desk.account}")
    assert status == 302
    answer = parse_qs(urlsplit(headers["location"]).query)
    assert answer["state"] == ["s1"]
    token = desk.loop(session.complete_login(headers["location"]))
    assert token != desk.token
    assert desk.loop(session.check()) is SessionState.VALID
    reused = desk.sdk.client
    with pytest.raises(upstox_client.rest.ApiException, match="UDAPI100057"):
        upstox_client.LoginApi(reused).token(
            VERSION, code=answer["code"][0], client_id="k", client_secret="s", redirect_uri="http://127.0.0.1",
            grant_type="authorization_code",
        )  # fmt: skip


def test_the_sdk_logs_in_and_out(desk: Desk) -> None:
    _, headers, _ = ask(
        f"{desk.box.upstox_url}/v2/login/authorization/dialog?client_id=app&redirect_uri=http%3A%2F%2F127.0.0.1"
    )
    code = parse_qs(urlsplit(headers["location"]).query)["code"][0]
    api = upstox_client.LoginApi(desk.sdk.client)
    reply = api.token(
        VERSION, code=code, client_id="app", client_secret="s", redirect_uri="http://127.0.0.1",
        grant_type="authorization_code",
    )  # fmt: skip
    assert reply.user_id == "app"
    desk.sdk.client.configuration.access_token = reply.access_token
    assert upstox_client.UserApi(desk.sdk.client).get_profile(VERSION).data.user_id == "app"
    assert api.logout(VERSION).data is True
    with pytest.raises(upstox_client.rest.ApiException) as caught:
        upstox_client.UserApi(desk.sdk.client).get_profile(VERSION)
    assert caught.value.status == 401


@pytest.mark.parametrize("missing", ["client_id", "client_secret", "redirect_uri", "code", "grant_type"])
def test_a_login_without_a_part_of_it_names_that_part(desk: Desk, missing: str) -> None:
    fields = {
        "code": "c",
        "client_id": "k",
        "client_secret": "s",
        "redirect_uri": "r",
        "grant_type": "authorization_code",
    }
    body = "&".join(f"{name}={value}" for name, value in fields.items() if name != missing).encode()
    status, _, reply = ask(
        f"{desk.box.upstox_url}/v2/login/authorization/token", "POST", body=body,
        **{"Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert status == 400
    assert json.loads(reply)["errors"][0]["propertyPath"] == missing


BODIES = [b"", b"{", b"null", b"[]", b"3", b'"x"', b"\xff\xfe", b"[" * 5000, b"{}", b'{"quantity":NaN}']
PATHS = [
    ("POST", "/v3/order/place"), ("PUT", "/v3/order/modify"), ("POST", "/v2/order/place"), ("PUT", "/v2/order/modify"),
    ("POST", "/v2/order/multi/place"), ("POST", "/v3/order/gtt/place"), ("PUT", "/v3/order/gtt/modify"),
    ("DELETE", "/v3/order/gtt/cancel"), ("PUT", "/v2/portfolio/convert-position"), ("POST", "/v2/charges/margin"),
    ("POST", "/v2/user/kill-switch"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_no_body_is_a_server_error(desk: Desk, method: str, path: str) -> None:
    for number, body in enumerate(BODIES):
        if number % 5 == 0:
            desk.pass_time()
        status, _, reply = ask(desk.box.upstox_url + path, method, token=desk.token, body=body)
        said = json.loads(reply)
        assert (status, said["status"]) == (400, "error"), (body, said)
        assert said["errors"][0]["errorCode"].startswith("UDAPI")


GOOD = {
    "quantity": 1, "product": "I", "validity": "DAY", "price": 0, "tag": "t", "slice": False, "order_type": "MARKET",
    "transaction_type": "BUY", "disclosed_quantity": 0, "trigger_price": 0, "is_amo": False,
}  # fmt: skip
ODD: list[Any] = [None, [], {}, "x", -1, 1.5, 1e300, 10**40, True, "٣", float("inf"), float("nan")]


@pytest.mark.parametrize("field", [*GOOD, "instrument_token", "market_protection"])
def test_no_value_of_a_field_is_a_server_error(desk: Desk, field: str) -> None:
    for number, value in enumerate(ODD):
        if number % 5 == 0:
            desk.pass_time()
        body = {**GOOD, "instrument_token": desk.stock().upstox_key, field: value}
        status, _, reply = ask(
            f"{desk.box.upstox_url}/v3/order/place", "POST", token=desk.token, body=json.dumps(body).encode()
        )
        said = json.loads(reply)
        assert status in (200, 400), (field, value, said)
        assert (said["status"] == "success") == (status == 200)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nothing", 404),
        ("GET", "/v3/order/place", 405),
        ("GET", "/market-quote/instruments/exchange/MCX.csv.gz", 404),
        ("GET", "/v2/feed/market-data-feed/authorize", 410),
        ("GET", "/v2/order/details", 400),
        ("GET", "/v2/order/details?order_id=a%20b", 400),
        ("GET", "/v2/market-quote/quotes?symbol=", 400),
        ("GET", "/v2/user/get-funds-and-margin?segment=GOLD", 400),
        ("GET", "/v2/market/timings/tomorrow", 400),
    ],
)
def test_paths_that_are_none_are_refused_in_upstox_words(desk: Desk, method: str, path: str, status: int) -> None:
    found, _, reply = ask(desk.box.upstox_url + path, method, token=desk.token)
    assert found == status
    assert json.loads(reply)["status"] == "error"


def test_without_a_token_nothing_of_an_account_is_told(desk: Desk) -> None:
    for path in ("/v2/order/retrieve-all", "/v2/user/profile", "/v3/feed/market-data-feed/authorize"):
        for token in (None, "nobody's"):
            status, _, reply = ask(desk.box.upstox_url + path, token=token)
            assert status == 401
            assert json.loads(reply)["errors"][0]["errorCode"] == "UDAPI100050"


def test_the_address_of_a_socket_works_once(desk: Desk) -> None:
    url = f"{desk.box.upstox_url}/v3/feed/market-data-feed"
    status, headers, _ = ask(url, token=desk.token)
    assert status == 302
    _, _, body = ask(f"{url}/authorize", token=desk.token)
    first = json.loads(body)["data"]["authorized_redirect_uri"]
    addresses = {headers["location"], first}
    assert len(addresses) == 2
    assert {urlsplit(address).netloc for address in addresses} == {urlsplit(desk.box.upstox_url).netloc}

    async def twice() -> tuple[bool, int]:
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidStatus

        async with connect(first) as socket:
            opened = isinstance(await socket.recv(), bytes)
        try:
            async with connect(first):
                return opened, 101
        except InvalidStatus as error:
            return opened, error.response.status_code

    assert desk.loop(twice()) == (True, 401)
