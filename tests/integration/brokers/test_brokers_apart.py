"""Two users of one broker in one process: what the broker says to one of them never touches the other."""

import asyncio

import pytest
from testkit.scripted_server import Asked, Reply, ScriptedServer
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.account import SessionState
from tradebus.brokers.audit.log import UNRECORDED
from tradebus.brokers.credentials import Credential
from tradebus.brokers.errors import TokenExpired
from tradebus.brokers.registry import ADAPTERS, Broker, open_broker

NOTHING_HELD = {
    "kite": {"status": "success", "data": {"net": [], "day": []}}, "dhan": [],
    "upstox": {"status": "success", "data": []},
}  # fmt: skip
TOO_MANY = {
    "kite": {"status": "error", "error_type": "NetworkException", "message": "Too many requests"},
    "dhan": {"errorType": "Rate_Limit", "errorCode": "DH-904", "errorMessage": "Too many requests"},
    "upstox": {"status": "error", "errors": [{"errorCode": "UDAPI10005", "message": "Too Many Request Sent"}]},
}  # fmt: skip
BAD_TOKEN = {
    "kite": {"status": "error", "error_type": "TokenException", "message": "Incorrect `api_key` or `access_token`."},
    "dhan": {"errorType": "Invalid_Authentication", "errorCode": "DH-901", "errorMessage": "Invalid token"},
    "upstox": {"status": "error", "errors": [{"errorCode": "UDAPI100050", "message": "Invalid token used"}]},
}  # fmt: skip


class Users:
    """Asha's login is refused with `status` and `body`, Bob's is served."""

    def __init__(self, name: str, *, status: int, body: object) -> None:
        self._name, self._refusal = name, Reply(body, status)
        self.server = ScriptedServer(self._answer)
        self.refused = 0

    def __enter__(self) -> "Users":
        self.server.__enter__()
        self.asha, self.bob = self._login("asha"), self._login("bob")
        return self

    def __exit__(self, *problem: object) -> None:
        for login in (self.asha, self.bob):
            login.close()
        self.server.__exit__(None, None, None)

    async def until_refused(self, times: int) -> None:
        async with asyncio.timeout(30):
            while self.refused < times:
                await asyncio.sleep(0.005)

    def _login(self, user: str) -> Broker:
        credential = Credential(self._name, user, access_token=f"token-of-{user}")
        return open_broker(self._name, credential, url=self.server.url, timers=WALL_TIMERS, log=UNRECORDED)

    def _answer(self, asked: Asked) -> Reply:
        if any("token-of-asha" in value for value in asked.headers.values()):
            self.refused += 1
            return self._refusal
        return Reply(NOTHING_HELD[self._name])


@pytest.fixture(params=list(ADAPTERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_while_one_users_requests_are_too_many_the_others_are_answered(name: str) -> None:
    with Users(name, status=429, body=TOO_MANY[name]) as users:
        asking = asyncio.create_task(users.asha.account.positions())
        await users.until_refused(1)
        for _ in range(3):
            assert list(await users.bob.account.positions()) == []
        await users.until_refused(2)  # and hers is tried again all the while
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_a_token_that_is_not_taken_halts_its_own_login_alone(name: str) -> None:
    with Users(name, status=403 if name == "kite" else 401, body=BAD_TOKEN[name]) as users:
        with pytest.raises(TokenExpired):
            await users.asha.account.positions()
        refused = users.refused
        assert list(await users.bob.account.positions()) == []
        with pytest.raises(TokenExpired):
            await users.asha.account.positions()
        assert users.refused == refused, "she is asked nothing more"
        assert await users.asha.session.check() is SessionState.EXPIRED
        assert list(await users.bob.account.positions()) == []
