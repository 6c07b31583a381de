"""Logging in: by PIN and TOTP, by consent in a browser, renewing; the addresses a client names."""

import webbrowser
from typing import Any

import pytest
import requests
from dhanhq import DhanLogin
from testkit.dhan_hands import SdkHand, code, data
from testkit.dhan_market import Desk
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.account import SessionState
from tradebus.brokers.dhan import DhanClient, DhanEndpoints, DhanSession, DhanSettings
from tradebus.brokers.errors import BrokerError


@pytest.fixture
def login(one_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> DhanLogin:
    """The official login, pointed at the face."""
    monkeypatch.setattr(DhanLogin, "AUTH_BASE_URL", one_desk.market.box.dhan_url)
    monkeypatch.setattr(DhanLogin, "API_BASE_URL", f"{one_desk.market.box.dhan_url}/v2")
    return DhanLogin(one_desk.account)


def _session(desk: Desk, token: str = "") -> DhanSession:
    settings = DhanSettings(
        desk.account, token, "app", "app-secret", endpoints=DhanEndpoints.at(desk.market.box.dhan_url)
    )
    return DhanSession(DhanClient(settings, timers=WALL_TIMERS, first_delay_seconds=0.01))


def _works(desk: Desk, token: str) -> bool:
    return SdkHand(desk.market.box.dhan_url, token, account=desk.account).dhan.get_fund_limits()["status"] == "success"


def test_pin_and_totp_bring_a_token(one_desk: Desk, login: DhanLogin) -> None:
    by_sdk = login.generate_token("123456", "654321")
    assert by_sdk["dhanClientId"] == one_desk.account
    assert _works(one_desk, by_sdk["accessToken"])
    by_adapter = one_desk.market.run(_session(one_desk).complete_login("123456:654321"))
    assert _works(one_desk, by_adapter)


def test_a_totp_that_is_none_is_refused(one_desk: Desk, login: DhanLogin) -> None:
    with pytest.raises(Exception, match="DH-901"):
        login.generate_token("123456", "12")


def test_consent_in_the_browser_brings_a_token_once(
    one_desk: Desk, login: DhanLogin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    consent = login.generate_login_session("app", "app-secret")
    capsys.readouterr()
    assert consent in opened[0]
    token_id = requests.get(opened[0], timeout=5).json()["tokenId"]
    assert _works(one_desk, login.consume_token_id(token_id, "app", "app-secret")["accessToken"])
    with pytest.raises(Exception, match="used already"):
        login.consume_token_id(token_id, "app", "app-secret")


def test_our_session_logs_in_by_consent_too(one_desk: Desk) -> None:
    session = _session(one_desk)
    url = one_desk.market.run(session.consent_url())
    landed = requests.get(url, timeout=5).url
    token = one_desk.market.run(session.complete_login(landed))
    assert _works(one_desk, token)
    assert one_desk.market.run(session.check()) is SessionState.VALID


def test_a_token_id_that_nobody_gave_is_refused(one_desk: Desk) -> None:
    with pytest.raises(BrokerError):
        one_desk.market.run(_session(one_desk).complete_login("https://example.com/?tokenId=made-up"))


def test_renewing_gives_a_token_that_works(one_desk: Desk, login: DhanLogin) -> None:
    by_sdk = login.renew_token(one_desk.token)["accessToken"]
    assert _works(one_desk, by_sdk)
    by_adapter = one_desk.market.run(_session(one_desk, by_sdk).renew())
    assert _works(one_desk, by_adapter)
    assert login.user_profile(by_adapter)["dhanClientId"] == one_desk.account


def test_a_token_that_is_none_cannot_be_renewed(one_desk: Desk, login: DhanLogin) -> None:
    with pytest.raises(Exception, match="DH-901"):
        login.renew_token("nobodys")
    with pytest.raises(BrokerError):
        one_desk.market.run(_session(one_desk, "nobodys").renew())
    assert one_desk.market.run(_session(one_desk, "nobodys").check()) is SessionState.EXPIRED


def test_addresses_are_remembered(one_desk: Desk) -> None:
    http = one_desk.sdk.context.get_dhan_http()
    assert data(http.get("/ip/getIP"))["primaryIP"] is None
    data(http.post("/ip/setIP", {"ip": "192.0.2.1", "ipFlag": "PRIMARY"}))
    data(http.put("/ip/modifyIP", {"ip": "192.0.2.2", "ipFlag": "SECONDARY"}))
    found: dict[str, Any] = data(http.get("/ip/getIP"))
    assert (found["primaryIP"], found["secondaryIP"]) == ("192.0.2.1", "192.0.2.2")
    assert found["modifyDatePrimary"] == "2026-11-25"
    assert code(http.post("/ip/setIP", {"ip": "192.0.2.1", "ipFlag": "THIRD"})) == "DH-905"


def test_what_dhan_does_not_offer_is_said_in_dhans_way(one_desk: Desk) -> None:
    http = one_desk.sdk.context.get_dhan_http()
    assert code(http.get("/nothing")) == "DH-905"
    assert code(http.put("/positions", {"a": 1})) == "DH-905"
    assert code(http.get("/trades/a/b/c")) == "DH-905"
