"""A login whose token ends soon goes on without a person where its broker lets it, and is said where it does not."""

import base64
import json
from pathlib import Path

from testkit.broker_life import BrokerLife
from testkit.execution_brokers import approval, spec
from testkit.fake_broker import FakeBroker, FakeSession
from testkit.waiting import WALL_TIMERS

from services.execution.logins.renewal import LoginRenewal
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.brokers.errors import Refused
from tradebus.contracts.orders import Difference

HOUR_SECONDS = 3600
SEED = "JBSWY3DPEHPK3PXP"


def token(*, hours: float, name: str = "t", days_old: int = 0) -> str:
    now = WALL_TIMERS.now_ns() // 10**9
    said = {"exp": now + int(hours * HOUR_SECONDS), "iat": now - days_old * 24 * HOUR_SECONDS, "name": name}
    return f"h.{base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip('=')}.s"


class Renewing(FakeSession):
    """Dhan's: makes a token anew, or refuses to; by numbers, or refuses them."""

    def __init__(self, new: str, *, renews: bool = True, takes_numbers: bool = True) -> None:
        self._new, self.renews, self.takes_numbers = new, renews, takes_numbers
        self.asked: list[str] = []

    async def renew(self) -> str:
        self.asked.append("renew")
        if not self.renews:
            raise Refused("dhan", "renew: the token is not taken")
        return self._new

    async def complete_login(self, answer: str) -> str:
        pin, _, number = answer.partition(":")
        assert (pin, len(number)) == ("1234", 6)
        self.asked.append("numbers")
        if not self.takes_numbers:
            raise Refused("dhan", "login: wrong PIN")
        return self._new


class Heard:
    def __init__(self) -> None:
        self.settled: list[Difference] = []
        self.warned: list[Difference] = []

    async def warn(self, differences) -> bool:
        self.warned += differences
        return True


def renewal(tmp_path: Path, session: FakeSession, *, heard: Heard, **login: str) -> tuple[LoginRenewal, Credentials]:
    broker, kept = FakeBroker("dhan"), Credentials(tmp_path)
    broker.session = session
    kept.put("mine", Credential("dhan", "1100", **login))
    made = LoginRenewal(broker, "mine", kept, settled=heard.settled.extend, warn=heard.warn, timers=WALL_TIMERS)
    return made, kept


async def test_a_token_that_ends_soon_is_made_anew_stored_and_said(tmp_path: Path) -> None:
    heard, new = Heard(), token(hours=24, name="new")
    session = Renewing(new)
    made, kept = renewal(tmp_path, session, heard=heard, access_token=token(hours=2), api_secret="s")
    assert await made.look()
    stored = kept.get("mine")
    assert (stored.access_token, stored.api_secret) == (new, "s")
    assert [(one.what, one.brokers.partition(" until")[0]) for one in heard.settled] == [("login mine", "renewed")]
    assert await made.look()
    assert session.asked == ["renew"], "one that lasts is left alone"


async def test_one_that_is_not_made_anew_is_got_by_pin_and_seed(tmp_path: Path) -> None:
    heard, new = Heard(), token(hours=24, name="new")
    session = Renewing(new, renews=False)
    made, kept = renewal(tmp_path, session, heard=heard, access_token=token(hours=1), pin="1234", totp_seed=SEED)
    assert await made.look()
    assert (session.asked, kept.get("mine").access_token) == (["renew", "numbers"], new)


async def test_where_neither_works_a_person_is_told_once_and_again_when_it_is_mended(tmp_path: Path) -> None:
    heard, old = Heard(), token(hours=1)
    session = Renewing("", renews=False, takes_numbers=False)
    made, kept = renewal(tmp_path, session, heard=heard, access_token=old, pin="1234", totp_seed=SEED)
    assert [await made.look(), await made.look()] == [False, False]
    (said,) = heard.warned
    assert "wrong PIN" in said.brokers
    assert said.action.startswith("`tradebus login --broker dhan --credential mine`")
    assert kept.get("mine").access_token == old
    kept.put("mine", Credential("dhan", "1100", access_token=token(hours=20)))
    assert await made.look()
    assert [one.brokers for one in heard.settled] == ["another is stored"]


async def test_a_token_of_an_earlier_day_is_not_made_anew_but_is_a_login_of_today(tmp_path: Path) -> None:
    heard, new, old = Heard(), token(hours=24, name="new"), token(hours=1, days_old=2)
    session = Renewing(new)
    made, kept = renewal(tmp_path, session, heard=heard, access_token=old)
    assert not await made.look()
    assert (session.asked, kept.get("mine").access_token) == ([], old)
    assert "of an earlier day, and no PIN and seed" in heard.warned[0].brokers
    made, kept = renewal(tmp_path, session, heard=heard, access_token=old, pin="1234", totp_seed=SEED)
    assert await made.look()
    assert (session.asked, kept.get("mine").access_token) == (["numbers"], new)


async def test_what_a_person_stores_meanwhile_stays(tmp_path: Path) -> None:
    by_hand = token(hours=23, name="by hand")

    class Slow(Renewing):
        async def renew(self) -> str:
            kept.put("mine", Credential("dhan", "1100", access_token=by_hand))
            return await super().renew()

    made, kept = renewal(tmp_path, Slow(token(hours=24)), heard=Heard(), access_token=token(hours=1))
    assert await made.look()
    assert kept.get("mine").access_token == by_hand


async def test_an_account_warns_of_its_token_and_trades_on_and_says_when_it_is_renewed(around, tmp_path: Path) -> None:
    broker, other = FakeBroker("dhan"), FakeBroker("kite")
    broker.session = Renewing("", renews=False)
    async with BrokerLife(around, broker, other) as life:
        Credentials(tmp_path).put("mine", Credential("dhan", broker.client_id, access_token=token(hours=1)))
        await life.started(spec("s1", broker="dhan"))
        [said] = await life.told("RECONCILE_MISMATCH")
        assert [one.what for one in said.differences] == ["login mine"]
        entry = approval(1)
        await life.send(entry)
        await life.order("ENTRY", "OPEN", of=entry)
