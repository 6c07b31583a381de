"""Where brokers are: what counts as a sandbox, and what is no address at all."""

import pytest

from tradebus.config.brokers import BrokerSettings, is_http_url, is_loopback
from tradebus.config.settings import load_settings
from tradebus.kernel.clock import EventClock
from tradebus.kernel.errors import InvalidInput

NEAR = ["http://127.0.0.1:8101", "http://localhost:1", "http://127.9.9.9/x", "https://[::1]:8101", "http://LOCALHOST"]
FAR = [
    "https://api.kite.trade", "http://localhost.evil.example", "http://127.0.0.1.evil.example:80", "http://10.0.0.1",
    "http://sandbox:8101", "ftp://127.0.0.1", "127.0.0.1:8101", "", "http://", "http://[::1", "http://evil@10.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("url", NEAR)
def test_an_address_of_this_machine_is_a_sandbox(url) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize("url", FAR)
def test_no_other_address_is(url) -> None:
    assert not is_loopback(url)


def test_a_user_part_does_not_make_a_far_host_near() -> None:
    assert not is_loopback("http://127.0.0.1@evil.example/")
    assert is_http_url("http://127.0.0.1@evil.example/")


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://x")
    monkeypatch.setenv("REDIS_URL", "redis://x")
    return monkeypatch


def test_only_loopback_brokers_are_sandboxed(environment) -> None:
    environment.setenv("TRADEBUS_KITE_URL", "http://127.0.0.1:8101/")
    environment.setenv("TRADEBUS_DHAN_URL", "https://api.dhan.co")
    settings = load_settings(BrokerSettings)
    assert settings.broker_urls == {"kite": "http://127.0.0.1:8101", "dhan": "https://api.dhan.co", "upstox": ""}
    assert settings.sandboxed == {"kite"}


def test_what_is_no_address_is_refused_by_name(environment) -> None:
    environment.setenv("TRADEBUS_UPSTOX_URL", "127.0.0.1:8103")
    with pytest.raises(InvalidInput, match=r"TRADEBUS_UPSTOX_URL.*must be an address such as"):
        load_settings(BrokerSettings)


def test_the_credentials_key_comes_from_its_file(environment, tmp_path) -> None:
    (tmp_path / "key").write_text("secret-key\n")
    environment.setenv("TRADEBUS_CREDENTIALS_KEY_FILE", str(tmp_path / "key"))
    settings = load_settings(BrokerSettings)
    assert settings.credentials_key.get_secret_value() == "secret-key"
    assert "secret-key" not in repr(settings)


def test_a_markets_clock_runs_from_its_anchor(environment) -> None:
    environment.setenv("TRADEBUS_MARKET_CLOCK", "5000@1000x40")
    clock, speed = load_settings(BrokerSettings).clock_of_market(EventClock(1100))
    assert (clock.now_ns(), speed) == (9000, 40.0)
    environment.setenv("TRADEBUS_MARKET_CLOCK", "")
    clock, speed = load_settings(BrokerSettings).clock_of_market(EventClock(1100))
    assert (clock.now_ns(), speed) == (1100, 1.0)
