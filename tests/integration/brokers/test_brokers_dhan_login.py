"""Dhan's account: money, positions and holdings; the login."""

import pytest
from testkit.dhan_desk import CLIENT_ID, Answer
from testkit.dhan_orders import error

from tradebus.brokers.account import SessionState
from tradebus.brokers.dhan import DhanAccount, DhanSession
from tradebus.brokers.errors import Malformed, NoAnswer, Refused, TokenExpired
from tradebus.kernel.errors import InvalidInput

# Over HTTP


@pytest.fixture
def client(dhan):
    client = dhan.client()
    client.quotes_pacer = client.history_pacer = client.chain_pacer = client.other_pacer
    yield client
    client.close()


# The account


async def test_money_positions_and_holdings_come_in_paise(dhan, client):
    account = DhanAccount(client)
    dhan.answers = {
        "GET /v2/fundlimit": Answer.of({"availabelBalance": 98_440.55, "utilizedAmount": 15_202}),
        "GET /v2/positions": Answer.of([
            {"tradingSymbol": "TCS", "securityId": "11536", "exchangeSegment": "NSE_EQ", "productType": "CNC",
             "buyAvg": 3345.8, "buyQty": 40, "costPrice": 3215.0, "sellAvg": 0.0, "sellQty": 0, "netQty": 40,
             "realizedProfit": 0.0, "unrealizedProfit": 6122.05},
            {"tradingSymbol": "NIFTY-Nov2026-FUT", "securityId": "52175", "exchangeSegment": "NSE_FNO",
             "productType": "INTRADAY", "buyAvg": 0, "buyQty": 0, "costPrice": 0, "sellAvg": 26_000.1, "sellQty": 65,
             "netQty": -65, "realizedProfit": -10, "unrealizedProfit": 0},
        ]),
        "GET /v2/holdings": Answer.of([
            {"exchange": "ALL", "tradingSymbol": "HDFC", "securityId": "1330", "isin": "INE001A01036",
             "totalQty": 1000, "availableQty": 1000, "avgCostPrice": 2655.0},
        ]),
    }  # fmt: skip
    margins = await account.margins()
    assert (margins.available_paise, margins.used_paise) == (9_844_055, 1_520_200)
    long, short = await account.positions()
    assert (long.quantity, long.average_price_paise, long.unrealised_paise) == (40, 321_500, 612_205)
    assert (short.quantity, short.average_price_paise, short.realised_paise) == (-65, 2_600_010, -1_000)
    (holding,) = await account.holdings()
    assert (holding.symbol, holding.quantity, holding.average_price_paise) == ("HDFC", 1_000, 265_500)


async def test_no_holdings_is_an_empty_list_and_no_funds_field_is_named(dhan, client):
    account = DhanAccount(client)
    dhan.answers = {"GET /v2/holdings": error("DH-908", 500), "GET /v2/fundlimit": Answer.of({"sodLimit": 1})}
    with pytest.raises(NoAnswer):
        await account.holdings()
    for nothing in (error("DH-1111"), error("DH-1111", 500), error("DH-907", 404), Answer.of([])):
        dhan.answers["GET /v2/holdings"] = nothing
        assert await account.holdings() == []
    with pytest.raises(Malformed, match="availableBalance"):
        await account.margins()


# The login


@pytest.mark.parametrize(
    ("answer", "state"),
    [(Answer.of({"dhanClientId": CLIENT_ID}), SessionState.VALID), (error("DH-901", 401), SessionState.EXPIRED),
     (error("808", 401), SessionState.EXPIRED), (Answer(500, b""), SessionState.UNKNOWN),
     (Answer(200, b"<html>"), SessionState.UNKNOWN), (Answer.of({}), SessionState.UNKNOWN),
     (Answer(drop=True), SessionState.UNKNOWN), (error("DH-904", 429), SessionState.UNKNOWN)],
)  # fmt: skip
async def test_a_session_is_valid_expired_or_unknown(dhan, client, answer, state):
    dhan.answers["GET /v2/profile"] = answer
    assert await DhanSession(client).check() is state


GRANTED = {"dhanClientId": CLIENT_ID, "accessToken": "new.access.token", "expiryTime": "2026-11-26T10:00:00"}


@pytest.mark.parametrize("answer", ["tid-1234", "https://127.0.0.1/done?tokenId=tid-1234&x=1"])
async def test_a_consent_login_trades_its_token_id(dhan, answer):
    client = dhan.client(api_key="app", api_secret="app-secret")
    session = DhanSession(client)
    dhan.answers = {
        "POST /app/generate-consent": Answer.of({"consentAppId": "c-1", "status": "success"}),
        "GET /app/consumeApp-consent": Answer.of(GRANTED),
        "GET /v2/profile": Answer.of({"dhanClientId": CLIENT_ID}),
    }
    assert session.login_url() is None
    assert (await session.consent_url()).endswith("/login/consentApp-login?consentAppId=c-1")
    assert dhan.asked[0].path == f"/app/generate-consent?client_id={CLIENT_ID}"
    assert await session.complete_login(answer) == "new.access.token"
    assert dhan.asked[1].path == "/app/consumeApp-consent?tokenId=tid-1234"
    assert dhan.asked[1].headers["app_id"] == "app"
    assert await session.check() is SessionState.VALID
    assert dhan.asked[2].headers["access-token"] == "new.access.token"
    client.close()


async def test_pin_and_totp_make_a_token(dhan, client):
    dhan.answers["POST /app/generateAccessToken"] = Answer.of(GRANTED)
    assert await DhanSession(client).complete_login("123456:654321") == "new.access.token"
    assert dhan.asked[0].path.endswith(f"dhanClientId={CLIENT_ID}&pin=123456&totp=654321")


async def test_a_pasted_access_token_is_used_once_dhan_has_said_whose_it_is(dhan, client):
    session = DhanSession(client)
    dhan.answers["GET /v2/profile"] = Answer.of({"dhanClientId": CLIENT_ID})
    assert await session.complete_login("eyJ0.eyJx.sig-1") == "eyJ0.eyJx.sig-1"
    assert client.token == "eyJ0.eyJx.sig-1"
    dhan.answers["GET /v2/profile"] = Answer.of({"dhanClientId": "another"})
    with pytest.raises(Refused, match="another client"):
        await session.complete_login("eyJ0.eyJx.sig-2")
    assert client.token == "eyJ0.eyJx.sig-1"


async def test_a_login_that_fails_says_so_without_its_secrets(dhan, client):
    session = DhanSession(client)
    dhan.answers["*"] = Answer.of({"errorCode": "DH-901", "errorMessage": "bad 123456 and 123456:654321"}, 401)
    with pytest.raises(TokenExpired) as refused:
        await session.complete_login("123456:654321")
    assert "123456" not in str(refused.value)
    with pytest.raises(InvalidInput, match="KEY:SECRET"):
        await session.complete_login("tid-1234")
    with pytest.raises(InvalidInput, match="PIN:TOTP"):
        await session.complete_login("what?")


async def test_a_new_login_ends_a_halt(dhan, client):
    session, account = DhanSession(client), DhanAccount(client)
    dhan.answers = {
        "GET /v2/fundlimit": error("DH-901", 401),
        "GET /v2/profile": Answer.of({"dhanClientId": CLIENT_ID}),
    }
    with pytest.raises(TokenExpired):
        await account.margins()
    await session.complete_login("eyJ0.eyJx.sig-3")
    dhan.answers["GET /v2/fundlimit"] = Answer.of({"availabelBalance": 1, "utilizedAmount": 0})
    assert (await account.margins()).available_paise == 100


async def test_a_token_is_renewed_for_another_day(dhan, client):
    dhan.answers["GET /v2/RenewToken"] = Answer.of(GRANTED)
    assert await DhanSession(client).renew() == "new.access.token"
    assert client.token == "new.access.token"
