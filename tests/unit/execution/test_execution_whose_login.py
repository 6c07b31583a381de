"""A login that is not of the account it was stored for opens nothing: its orders would be another's."""

from pathlib import Path

from testkit.broker_life import BrokerLife, trading
from testkit.execution_around import Around
from testkit.execution_brokers import approval, spec
from testkit.fake_broker import FakeBroker

from tradebus.brokers.credentials import Credential, Credentials


async def test_a_session_is_refused_where_the_login_is_of_another_account(around: Around, tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.session.account = "BOB77"
    async with BrokerLife(around, broker) as life:
        Credentials(tmp_path).put("mine", Credential("kite", "key", access_token="tok", account="ASHA1"))
        await life.start(spec())
        refused = await life.refusal("s1")
    assert "stored for account ASHA1 and is one of BOB77" in refused
    assert "tradebus login --broker kite --credential NAME" in refused


async def test_a_token_of_another_account_that_takes_its_place_is_refused_to_new_sessions(around: Around) -> None:
    broker = FakeBroker()
    broker.session.account = "ASHA1"
    async with trading(around, broker) as life:
        broker.session.account = "BOB77"
        await life.start(spec("s2"))
        assert "BOB77" in await life.refusal("s2")
        await life.send(approval(1))
        await life.order("ENTRY", "OPEN")


async def test_the_same_account_is_served(around: Around, tmp_path: Path) -> None:
    broker = FakeBroker()
    broker.session.account = "ASHA1"
    async with BrokerLife(around, broker) as life:
        Credentials(tmp_path).put("mine", Credential("kite", "key", access_token="tok", account="ASHA1"))
        await life.started(spec())
