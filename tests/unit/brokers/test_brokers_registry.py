"""Brokers by name: all three open behind the ports, and what is wrong with a login is said in one line."""

import subprocess
import sys

import pytest
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.audit.log import UNRECORDED
from tradebus.brokers.credentials import Credential
from tradebus.brokers.registry import ADAPTERS, Known, open_broker
from tradebus.kernel.errors import InvalidInput

KNOWN = Known(listing_of=lambda _: 1 / 0, instrument_of=lambda *_: None, listings=list)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ADAPTERS)
async def test_every_broker_opens_with_all_its_parts_and_sends_nothing(name) -> None:
    broker = open_broker(
        name,
        Credential(name, "client", access_token="tok"),
        url="http://127.0.0.1:1",
        timers=WALL_TIMERS,
        log=UNRECORDED,
    )
    try:
        assert broker.name == name
        for part in (broker.reference.instruments, broker.account.positions, broker.session.check):
            assert callable(part)
        assert callable(broker.orders(KNOWN).place)
        feed, updates = broker.feed(), broker.updates(KNOWN)
        await feed.close()
        await updates.close()
    finally:
        broker.close()


def test_an_unknown_broker_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match=r"'kit' is unknown \(did you mean 'kite'\?\)"):
        open_broker("kit", Credential("kit"), timers=WALL_TIMERS, log=UNRECORDED)


@pytest.mark.parametrize("name", ["kite", "dhan"])
def test_a_login_without_its_public_half_is_refused_by_name(name) -> None:
    with pytest.raises(InvalidInput, match="is missing"):
        open_broker(name, Credential(name, access_token="tok"), timers=WALL_TIMERS, log=UNRECORDED)


@pytest.mark.parametrize("name", ADAPTERS)
def test_no_token_goes_out_unencrypted_to_another_machine(name) -> None:
    with pytest.raises(InvalidInput, match="not encrypted") as raised:
        open_broker(
            name,
            Credential(name, "client", access_token="tok-secret"),
            url="http://broker.example:80",
            timers=WALL_TIMERS,
            log=UNRECORDED,
        )
    assert "tok-secret" not in str(raised.value)


def test_no_sdk_is_imported_before_a_broker_is_opened() -> None:
    code = "import sys, tradebus.brokers.registry; print([m for m in ('kiteconnect', 'dhanhq', 'upstox_client') if m in sys.modules])"  # noqa: E501
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
