"""A login that is not of the account it was stored for opens nothing: its orders would be another's."""

from pathlib import Path

from testkit.broker_life import BrokerLife, opened, trading
from testkit.execution_around import Around
from testkit.execution_brokers import SECOND, TEN, approval, exit_of, spec
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


async def test_a_second_name_of_an_account_that_trades_is_refused_by_the_first(around: Around) -> None:
    broker = FakeBroker()
    broker.session.account = "ASHA1"
    async with trading(around, broker) as life:
        await life.start(spec("s2", credential="kite"))
        refused = await life.refusal("s2")
        assert "'kite' is of account ASHA1 at kite, which trades as 'mine' already" in refused
        await life.started(spec("s3"))
        await life.send(approval(1))
        await life.order("ENTRY", "OPEN")


async def test_two_names_that_start_at_once_are_not_both_served(around: Around) -> None:
    broker = FakeBroker()
    broker.session.account = "ASHA1"
    async with BrokerLife(around, broker) as life:
        await life.start(spec("s1"))
        await life.start(spec("s2", credential="kite"))

        async def answered() -> list[str]:
            return await life.taken_up()

        assert len(await life.until(answered)) == 1
        refused = "s2" if await life.taken_up() == ["s1"] else "s1"
        assert "ASHA1" in await life.refusal(refused)


async def test_another_brokers_account_of_that_name_is_another_account(around: Around) -> None:
    broker, other = FakeBroker(), FakeBroker("dhan")
    broker.session.account = other.session.account = "1000001"
    async with BrokerLife(around, broker, other) as life:
        await life.started(spec("s1"))
        await life.started(spec("s2", broker="dhan", credential="dhan"))


async def test_an_account_that_trades_under_two_names_since_before_keeps_its_positions(around: Around) -> None:
    broker = FakeBroker()
    async with trading(around, broker) as life:
        await life.started(spec("s2", credential="kite"))  # neither said whose it was
        await opened(life, broker, approval(1, session="s2"))
        await life.life.kill()
    broker.session.account = "ASHA1"
    async with BrokerLife(around, broker) as again:
        await again.send(exit_of(approval(1, session="s2"), at_ns=TEN + 2 * SECOND))
        await again.order("STOP", "OPEN")
