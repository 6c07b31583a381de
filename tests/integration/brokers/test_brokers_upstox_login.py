"""Money, positions and holdings at Upstox, and the login."""

import pytest
from testkit.scripted_server import Reply, success
from testkit.upstox_orders import INDEX as NIFTY
from testkit.upstox_server import PAGE, SECRET, TOKEN, refusal
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.account import SessionState
from tradebus.brokers.audit.log import UNRECORDED
from tradebus.brokers.credentials import Credential
from tradebus.brokers.errors import BrokerError, Malformed, TokenExpired
from tradebus.brokers.registry import open_broker
from tradebus.brokers.upstox import (
    UpstoxAccount,
    UpstoxEndpoints,
    UpstoxReference,
    UpstoxSession,
)
from tradebus.kernel.errors import InvalidInput


async def test_money_positions_and_holdings(upstox, client):
    account = UpstoxAccount(client)
    upstox.replies |= {
        "GET /v2/user/get-funds-and-margin": success({"equity": {"used_margin": 1000.5, "available_margin": 99000.25}}),
        "GET /v2/portfolio/short-term-positions": success(
            [{"instrument_token": "NSE_FO|1", "tradingsymbol": "NIFTY26DECFUT", "product": "D", "quantity": -65,
              "day_buy_quantity": 65, "day_sell_quantity": 65, "overnight_sell_quantity": 65,
              "overnight_buy_quantity": None,
              "average_price": 26000.105, "realised": -5.5, "unrealised": 10.0, "multiplier": 1.0}]
        ),
        "GET /v2/portfolio/long-term-holdings": success(
            [{"isin": "INE009A01021", "trading_symbol": "INFY", "quantity": 10, "t1_quantity": 5,
              "average_price": 1.5, "last_price": 2.0}]
        ),
    }  # fmt: skip
    margins = await account.margins()
    assert (margins.available_paise, margins.used_paise) == (9_900_025, 100_050)
    (position,) = await account.positions()
    assert (position.token, position.broker_segment, position.quantity) == ("NSE_FO|1", "NSE_FO", -65)
    assert (position.buy_quantity, position.sell_quantity) == (65, 130)
    assert (position.average_price_paise, position.realised_paise) == (2_600_011, -550)
    (holding,) = await account.holdings()
    assert (holding.quantity, holding.average_price_paise) == (15, 150)
    upstox.replies["GET /v2/user/get-funds-and-margin"] = success({"equity": {"used_margin": 1000.5}})
    with pytest.raises(Malformed, match="available_margin"):
        await account.margins()


async def test_the_login_from_the_browsers_address_to_a_token_in_use(upstox):
    client = upstox.client(access_token="")
    session = UpstoxSession(client)
    assert await session.check() is SessionState.EXPIRED
    assert session.login_url() == (
        f"{upstox.url}/v2/login/authorization/dialog?response_type=code&client_id=apikey"
        "&redirect_uri=https%3A%2F%2F127.0.0.1"
    )
    upstox.replies |= {
        "POST /v2/login/authorization/token": Reply({"user_id": "AB1", "access_token": "token-of-today"}),
        "GET /v2/user/profile": success({"user_id": "AB1"}),
    }
    assert await session.complete_login("https://127.0.0.1/?code=abc-123&state=x") == "token-of-today"
    (asked,) = upstox.asked
    assert "code=abc-123" in asked.body
    assert "client_secret=" + SECRET in asked.body
    assert "grant_type=authorization_code" in asked.body
    assert await session.check() is SessionState.VALID
    assert upstox.asked[1].headers["Authorization"] == "Bearer token-of-today"
    client.close()


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (success({"user_id": "AB1"}), SessionState.VALID), (refusal(401, "UDAPI100050"), SessionState.EXPIRED),
        (Reply(PAGE, 502), SessionState.UNKNOWN), (Reply(PAGE, 200), SessionState.UNKNOWN),
        (success(None), SessionState.UNKNOWN), (success({"user_id": None}), SessionState.UNKNOWN),
        (Reply(b"", cut=0), SessionState.UNKNOWN),
    ],
)  # fmt: skip
async def test_the_session_is_expired_only_where_upstox_says_so(upstox, client, reply, state):
    upstox.replies["GET /v2/user/profile"] = reply
    assert await UpstoxSession(client).check() is state


@pytest.mark.parametrize(
    "reply",
    [
        refusal(401, "UDAPI100057", "Invalid Auth code"),
        Reply(PAGE, 200),
        Reply({"access_token": None}),
        Reply({}),
        Reply(b"", 500),
    ],
)
async def test_a_login_that_does_not_come_about_leaves_the_old_token(upstox, client, reply):
    upstox.replies["POST /v2/login/authorization/token"] = reply
    with pytest.raises(BrokerError) as failed:
        await UpstoxSession(client).complete_login("abc123")
    assert SECRET not in str(failed.value)
    assert "abc123" not in str(failed.value)
    assert client.token == TOKEN
    assert client.calls.halted is None


@pytest.mark.parametrize("answer", ["", "  ", "https://127.0.0.1/?state=x", "a b", "code="])
async def test_what_is_no_code_is_not_sent(upstox, client, answer):
    with pytest.raises(InvalidInput, match="code"):
        await UpstoxSession(client).complete_login(answer)
    assert not upstox.asked


async def test_a_login_lets_halted_calls_go_on(upstox, client):
    upstox.replies |= {
        "GET /v2/option/contract": [refusal(401, "UDAPI100050"), success([])],
        "POST /v2/login/authorization/token": Reply({"access_token": "token-of-today"}),
    }
    reference = UpstoxReference(client)
    for _ in range(2):
        with pytest.raises(TokenExpired):
            await reference.expiries(NIFTY)
    await UpstoxSession(client).complete_login("abc123")
    assert await reference.expiries(NIFTY) == []


async def test_one_login_opens_everything_over_one_client(upstox):
    broker = open_broker(
        "upstox",
        Credential("upstox", "apikey", SECRET, TOKEN, "AB1"),
        url=upstox.url,
        timers=WALL_TIMERS,
        log=UNRECORDED,
    )
    upstox.replies["GET /v2/option/contract"] = success([])
    assert await broker.reference.expiries(NIFTY) == []
    assert upstox.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
    broker.close()


def test_one_address_is_every_address():
    endpoints = UpstoxEndpoints.at("http://127.0.0.1:9/")
    endpoints.check()
    assert endpoints.rest == endpoints.orders == "http://127.0.0.1:9"
    assert endpoints.instruments == "http://127.0.0.1:9/market-quote/instruments/exchange"
