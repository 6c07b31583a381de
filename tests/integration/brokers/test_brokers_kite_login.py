"""Money, positions and holdings at Kite, and the login."""

import hashlib

import pytest
from testkit.kite_server import TOKEN, refusal
from testkit.scripted_server import HTML, Reply, success

from tradebus.brokers.account import BrokerHolding, NetPosition, SessionState
from tradebus.brokers.errors import Malformed, TokenExpired
from tradebus.brokers.kite import KiteAccount, KiteSession
from tradebus.kernel.errors import InvalidInput


async def test_positions_and_holdings_are_exact(kite):
    row = {
        "tradingsymbol": "NIFTY26DECFUT", "exchange": "NFO", "instrument_token": 14866434, "product": "NRML",
        "quantity": -65, "average_price": 26000.05, "buy_quantity": 0, "sell_quantity": 65, "realised": 0,
        "unrealised": -1234.5, "multiplier": 1,
    }  # fmt: skip
    kite.replies["GET /portfolio/positions"] = success({"net": [row], "day": [row, row]})
    kite.replies["GET /portfolio/holdings"] = success([
        {"tradingsymbol": "SBIN", "isin": "INE062A01020", "quantity": 16, "t1_quantity": 4, "average_price": 801.78125,
         "last_price": 762.45}
    ])  # fmt: skip
    account = KiteAccount(kite.client())
    assert list(await account.positions()) == [
        NetPosition("14866434", "NFO", "NIFTY26DECFUT", "NRML", -65, 0, 65, 2_600_005, 0, -123_450)
    ]
    assert list(await account.holdings()) == [BrokerHolding("SBIN", "INE062A01020", 20, 80_178, 76_245)]


async def test_the_login_exchanges_a_request_token_once_and_everything_goes_on_with_it(kite):
    client = kite.client()
    session, account = KiteSession(client), KiteAccount(client)
    kite.replies["GET /user/margins"] = refusal(403, "TokenException")
    with pytest.raises(TokenExpired):
        await account.margins()
    kite.replies["POST /session/token"] = success({"access_token": "fresh-secret-token", "user_id": "AB1234"})
    address = "https://app.example/back?status=success&request_token=abc123XYZ&action=login"
    assert await session.complete_login(address) == "fresh-secret-token"
    form = kite.calls("POST", "/session/token")[0].form
    assert form["checksum"] == hashlib.sha256(b"apikeyabc123XYZapi-secret-text").hexdigest()
    kite.replies["GET /user/margins"] = success({"equity": {"net": 1, "utilised": {"debits": 0}}})
    await account.margins()
    assert kite.asked[-1].headers["Authorization"] == "token apikey:fresh-secret-token"


@pytest.mark.parametrize("reply", [success({}), success({"access_token": 5}), success(None), Reply(b"", 200)])
async def test_a_login_without_a_token_is_malformed_and_leaves_the_old_one(kite, reply):
    client = kite.client()
    kite.replies["POST /session/token"] = reply
    with pytest.raises(Malformed):
        await KiteSession(client).complete_login("abc123")
    assert client.token == TOKEN


async def test_a_refused_login_halts_nothing(kite):
    client = kite.client()
    kite.replies["POST /session/token"] = refusal(403, "TokenException", "Token is invalid or has expired.")
    with pytest.raises(TokenExpired):
        await KiteSession(client).complete_login("abc123")
    kite.replies["GET /portfolio/holdings"] = success([])
    assert list(await KiteAccount(client).holdings()) == []


@pytest.mark.parametrize("answer", ["", "no token here", "https://app.example/?status=cancelled", "a" * 200])
async def test_what_is_no_request_token_is_not_sent(kite, answer):
    with pytest.raises(InvalidInput, match="request_token"):
        await KiteSession(kite.client()).complete_login(answer)
    assert kite.asked == []


async def test_a_login_needs_the_secret(kite):
    client = kite.client(api_secret="")
    with pytest.raises(InvalidInput, match="api_secret"):
        await KiteSession(client).complete_login("abc123")


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (success({"user_id": "AB1234"}), SessionState.VALID),
        (refusal(403, "TokenException"), SessionState.EXPIRED),
        (refusal(500, "GeneralException"), SessionState.UNKNOWN),
        (refusal(429, "NetworkException"), SessionState.UNKNOWN),
        (Reply(b"<html>", 200, HTML), SessionState.UNKNOWN),
        (Reply(b"<html>", 403, HTML), SessionState.UNKNOWN),
        (success({}), SessionState.UNKNOWN),
    ],
)
async def test_a_session_is_valid_expired_or_not_known(kite, reply, state):
    kite.replies["GET /user/profile"] = reply
    assert await KiteSession(kite.client()).check() is state


async def test_without_a_token_a_login_is_needed(kite):
    client = kite.client(access_token="")
    assert await KiteSession(client).check() is SessionState.EXPIRED
    assert kite.asked == []


def test_the_login_address_names_the_app(kite):
    url = KiteSession(kite.client()).login_url()
    assert url == f"{kite.url}/connect/login?v=3&api_key=apikey"


def test_settings_show_no_secret(kite):
    assert TOKEN not in repr(kite.settings())
    assert "api-secret-text" not in repr(kite.settings())
