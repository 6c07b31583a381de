"""One login's token: a new one goes everywhere and ends a halt; where none is to be had, nothing breaks."""

import pytest
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.audit.log import UNRECORDED
from tradebus.brokers.common.access.login import LoginClient
from tradebus.brokers.errors import BrokerError, NoAnswer, TokenExpired

OLD, NEW = "old-secret-token", "new-secret-token"


class Client(LoginClient):
    """Of an SDK that says which token it has."""

    def __init__(self, refresh) -> None:
        super().__init__(
            "acme", token=OLD, secrets=[OLD], classify=lambda error: NoAnswer("acme", str(error)),
            timers=WALL_TIMERS, refresh=refresh, request_seconds=5.0, first_delay_seconds=0.001, seed=0,
            log=UNRECORDED,
        )  # fmt: skip
        self.told: list[str] = []

    def tell_sdk(self, token: str) -> None:
        self.told.append(token)

    async def ask(self) -> str:
        return await self.calls.once("profile", self._asked)

    def _asked(self) -> str:
        if self.token == OLD:
            raise TokenExpired("acme", "log in again")
        return self.token


def refreshing(*outcomes):
    """Brings one after the other, raising those that are errors."""
    left = list(outcomes)

    async def refresh() -> str:
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return refresh


@pytest.fixture
def client_with():
    made = []

    def make(refresh=None) -> Client:
        made.append(Client(refresh))
        return made[-1]

    yield make
    for client in made:
        client.close()


async def test_a_refused_token_is_renewed_once_and_the_call_goes_on(client_with):
    client = client_with(refreshing(NEW))
    assert await client.ask() == NEW
    assert client.told == [NEW]
    assert NEW not in client.redactor.text(f"a header with {NEW}")


@pytest.mark.parametrize("outcome", ["", RuntimeError(f"no route for {OLD}"), KeyError("token"), OSError()])
async def test_without_a_new_token_calls_halt(client_with, outcome):
    client = client_with(refreshing(outcome))
    with pytest.raises(TokenExpired):
        await client.ask()
    assert client.calls.halted is not None
    assert client.told == []


async def test_a_token_that_arrives_later_ends_the_halt(client_with):
    client = client_with(refreshing("", NEW))
    with pytest.raises(BrokerError):
        await client.ask()
    assert await client.renew()
    assert await client.ask() == NEW


async def test_without_a_way_to_renew_none_is_tried(client_with):
    client = client_with()
    assert not await client.renew()
    with pytest.raises(TokenExpired):
        await client.ask()
    client.use_token(NEW)
    assert await client.ask() == NEW
