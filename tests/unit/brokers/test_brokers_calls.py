"""The policy that every blocking SDK call runs under."""

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise

import pytest
from testkit.simulated import PatientTimers, passes, through
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.calls import ATTEMPTS, LATE_SECONDS, SdkCalls
from tradebus.brokers.errors import BrokerError, Malformed, NoAnswer, Refused, Throttled, TokenExpired
from tradebus.brokers.redaction import Redactor
from tradebus.kernel.timers import Timers

TOKEN = "secret-token-0123"


class SdkTrouble(Exception):
    """What an SDK raises: its text decides what it is."""


def classify(error: BaseException) -> BrokerError:
    kinds = {"429": Throttled, "5xx": NoAnswer, "401": TokenExpired, "no": Refused}
    return kinds.get(str(error).split(" ")[0], Malformed)("broker", str(error))


class Answers:
    """A call that gives, or raises, one thing after the other; the last one for ever."""

    def __init__(self, *answers: object) -> None:
        self.answers, self.calls = list(answers), 0

    def __call__(self) -> object:
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


def calls(*, timers: Timers = WALL_TIMERS, refresh: Callable[[], object] | None = None, **options: object) -> SdkCalls:
    return SdkCalls("broker", classify=classify, redactor=Redactor([TOKEN]), timers=timers, refresh=refresh, **options)  # type: ignore[arg-type]


async def test_a_read_that_is_throttled_is_tried_again_until_it_answers():
    timers, sdk = PatientTimers(), Answers(SdkTrouble("429"), SdkTrouble("5xx"), "data")
    assert await through(timers, calls(timers=timers).read("quotes", sdk)) == "data"
    assert sdk.calls == 3


async def test_a_read_gives_up_after_its_last_attempt_and_says_what_was_asked():
    timers, sdk = PatientTimers(), Answers(SdkTrouble("5xx bad gateway"))
    with pytest.raises(NoAnswer, match=r"broker: quotes: 5xx bad gateway"):
        await through(timers, calls(timers=timers).read("quotes", sdk))
    assert sdk.calls == ATTEMPTS


async def test_each_attempt_waits_twice_as_long_as_the_one_before_half_of_it_drawn():
    timers, asked_ns = PatientTimers(), []

    def sdk() -> str:
        asked_ns.append(timers.monotonic_ns())
        raise SdkTrouble("429")

    with pytest.raises(Throttled):
        await through(timers, calls(timers=timers).read("quotes", sdk))
    waits = [later - earlier for earlier, later in pairwise(asked_ns)]
    for seconds, wait_ns in zip((0.5, 1.0, 2.0, 4.0), waits, strict=True):
        assert 0.5 * seconds <= wait_ns / 1e9 < 1.5 * seconds


@pytest.mark.parametrize("text", ["no margin", "html page"])
async def test_what_repeating_cannot_mend_is_asked_once(text: str):
    sdk = Answers(SdkTrouble(text))
    with pytest.raises((Refused, Malformed)):
        await calls().read("funds", sdk)
    assert sdk.calls == 1


@pytest.mark.parametrize("text", ["429", "5xx", "no", "html"])
async def test_an_order_is_sent_once_whatever_comes_back(text: str):
    sdk = Answers(SdkTrouble(text))
    with pytest.raises(BrokerError):
        await calls().once("place", sdk)
    assert sdk.calls == 1


async def test_an_expired_token_is_refreshed_once_and_the_call_repeated():
    refreshed = []

    async def refresh() -> bool:
        refreshed.append(True)
        return True

    sdk = Answers(SdkTrouble("401"), "data")
    assert await calls(refresh=refresh).once("place", sdk) == "data"
    assert (sdk.calls, len(refreshed)) == (2, 1)


async def test_what_waited_too_long_for_its_new_token_is_not_asked_again():
    timers = PatientTimers()

    async def refresh() -> bool:
        timers.advance(timers.now_ns() + round((LATE_SECONDS + 1) * 1e9))
        return True

    sdk = Answers(SdkTrouble("401"), "data")
    with pytest.raises(NoAnswer, match="place: not sent, it was asked for too long ago"):
        await calls(timers=timers, refresh=refresh).once("place", sdk)
    assert sdk.calls == 1


async def test_calls_that_find_the_token_expired_together_refresh_it_once():
    refreshed = []
    barrier = threading.Barrier(3)

    async def refresh() -> bool:
        refreshed.append(True)
        await asyncio.sleep(0.01)  # meanwhile the others find it expired too
        return True

    class Once:
        def __init__(self) -> None:
            self.first = True

        def __call__(self) -> str:
            if self.first:
                self.first = False
                barrier.wait(timeout=5)
                raise SdkTrouble("401")
            return "data"

    under_test = calls(refresh=refresh)
    assert await asyncio.gather(*(under_test.once("funds", Once()) for _ in range(3))) == ["data"] * 3
    assert len(refreshed) == 1


async def test_without_a_new_token_everything_halts_until_a_person_logs_in():
    under_test, sdk = calls(), Answers(SdkTrouble("401"))
    for _ in range(3):
        with pytest.raises(TokenExpired):
            await under_test.read("funds", sdk)
    assert sdk.calls == 1, "a halted login asks nothing more"
    under_test.renewed()
    assert await under_test.read("funds", Answers("data")) == "data"


async def test_a_token_refused_again_after_its_refresh_halts():
    async def refresh() -> bool:
        return True

    under_test, sdk = calls(refresh=refresh), Answers(SdkTrouble("401"))
    with pytest.raises(TokenExpired):
        await under_test.once("place", sdk)
    with pytest.raises(TokenExpired):
        await under_test.once("place", sdk)
    assert sdk.calls == 2


async def test_a_halted_login_takes_the_token_that_a_person_brings_later():
    """`tradebus login` runs in a process of its own: a service finds the token where it is stored."""
    stored = used = "of yesterday"
    timers, asked = PatientTimers(), 0

    async def refresh() -> bool:
        nonlocal used, asked
        used, asked = stored, asked + 1
        return True

    def sdk() -> str:
        if used != "of today":
            raise SdkTrouble("401")
        return "done"

    under_test = calls(timers=timers, refresh=refresh)
    with pytest.raises(TokenExpired):
        await under_test.once("cancel", sdk)
    stored, asked = "of today", 0
    for seconds in (0.0, 4.9):
        timers.advance(timers.now_ns() + round(seconds * 1e9))
        with pytest.raises(TokenExpired):
            await under_test.once("cancel", sdk)
    assert asked == 0, "whether there is a new token is asked every five seconds, not with each call"
    timers.advance(timers.now_ns() + 200_000_000)
    assert await under_test.once("cancel", sdk) == "done"
    assert under_test.halted is None


async def test_no_secret_is_in_an_error_nor_in_what_it_came_from():
    with pytest.raises(BrokerError) as raised:
        await calls().once("place", Answers(SdkTrouble(f"odd: GET /?token={TOKEN} failed")))
    assert TOKEN not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


async def test_a_call_that_hangs_is_an_unknown_outcome_and_the_loop_goes_on():
    timers, release = PatientTimers(), threading.Event()
    placing = asyncio.create_task(calls(timers=timers).once("place", lambda: release.wait(30)))
    try:
        await passes(timers, 10)  # the loop goes on
        assert not placing.done()
        await passes(timers, 2)
        with pytest.raises(NoAnswer, match=r"no answer in 10 s"):
            await placing
    finally:
        release.set()


async def test_an_order_leaves_however_many_reads_hang():
    release = threading.Event()
    under_test = calls(workers=2)
    hanging = [asyncio.create_task(under_test.read("orders", lambda: release.wait(30))) for _ in range(5)]
    try:
        async with asyncio.timeout(20):
            assert await under_test.once("cancel", lambda: "cancelled") == "cancelled"
        assert not any(one.done() for one in hanging)
    finally:
        release.set()
        await asyncio.gather(*hanging)
