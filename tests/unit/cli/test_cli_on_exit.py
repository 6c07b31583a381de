"""What `tradebus up` does with its sessions when it is told to end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.cli.stack.on_exit import OnExit, end_sessions, wait_and_end
from tradebus.kernel.errors import Unavailable

SESSIONS = [
    {"session_id": "s1", "user_id": "asha", "status": "RUNNING"},
    {"session_id": "s2", "user_id": "ravi", "status": "STOPPED"},
    {"session_id": "s3", "user_id": "mira", "status": "PAUSED"},
]


class Gateway:
    """Takes note of what it is told; away where it `is_away`."""

    def __init__(self, sessions: list[dict[str, Any]]) -> None:
        self._sessions, self.is_away = sessions, False
        self.held: list[list[str]] = [[]]  # at each look, the last again and again
        self.told: list[tuple[str, str]] = []
        self.awaited: list[str] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Gateway"]:
        if self.is_away:
            raise Unavailable("the gateway does not answer")
        yield self

    async def get(self, path: str, **query: object) -> dict[str, Any]:
        if path == "/api/sessions":
            return {"sessions": self._sessions}
        assert path == "/api/portfolio"
        held = self.held.pop(0) if len(self.held) > 1 else self.held[0]
        return {"portfolio": [{"positions": [{"quantity": 65, "symbol": name} for name in held]}]}

    async def command(self, action: str, *, user_id: str, data: dict[str, Any]) -> None:
        self.told.append((action, user_id))

    async def until(self, session_id: str, status: str, *, seconds: float) -> None:
        self.awaited.append(f"{session_id} {status}")


async def test_stop_ends_every_session_that_is_alive_and_waits_for_it() -> None:
    gateway = Gateway(SESSIONS)
    await end_sessions(gateway.open, OnExit.STOP)  # type: ignore[arg-type]
    assert gateway.told == [("STOP_TRADING", "asha"), ("STOP_TRADING", "mira")]
    assert gateway.awaited == ["s1 STOPPED", "s3 STOPPED"]


async def test_flatten_pauses_every_session_closes_what_it_holds_and_waits_until_all_is_flat() -> None:
    gateway = Gateway(SESSIONS)
    gateway.held = [["NIFTY", "BANKNIFTY"], ["NIFTY"], []]
    assert await end_sessions(gateway.open, OnExit.FLATTEN)  # type: ignore[arg-type]
    assert gateway.told == [
        ("PAUSE_TRADING", "asha"), ("PAUSE_TRADING", "mira"), ("FLATTEN", "asha"), ("FLATTEN", "mira")
    ]  # fmt: skip
    assert (gateway.awaited, gateway.held) == ([], [[]])


async def test_what_is_still_held_when_time_is_up_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    gateway = Gateway(SESSIONS)
    gateway.held = [["NIFTY"]]
    assert not await end_sessions(gateway.open, OnExit.FLATTEN, seconds=0.01)  # type: ignore[arg-type]
    assert "not every position is closed: still held: 65 NIFTY" in capsys.readouterr().err


async def test_whoever_waits_for_the_end_acts_when_it_comes_and_says_what_is_left() -> None:
    gateway = Gateway(SESSIONS)
    waiting = asyncio.create_task(
        wait_and_end(gateway.open, OnExit.FLATTEN, seconds=5)  # type: ignore[arg-type]
    )
    await asyncio.sleep(0)
    assert gateway.told == []
    waiting.cancel()
    await waiting
    assert gateway.told[-1] == ("FLATTEN", "mira")
    gateway.held = [["NIFTY"]]
    waiting = asyncio.create_task(
        wait_and_end(gateway.open, OnExit.FLATTEN, seconds=0.01)  # type: ignore[arg-type]
    )
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(Unavailable, match="positions may be open"):
        await waiting


async def test_keep_tells_nobody_anything_but_the_person(capsys: pytest.CaptureFixture[str]) -> None:
    gateway = Gateway(SESSIONS)
    await end_sessions(gateway.open, OnExit.KEEP)  # type: ignore[arg-type]
    assert (gateway.told, gateway.awaited) == ([], [])
    assert "2 session(s) go on at the next `tradebus up`" in capsys.readouterr().err


@pytest.mark.parametrize("how", list(OnExit))
async def test_where_nothing_is_alive_nothing_is_said(how: OnExit, capsys: pytest.CaptureFixture[str]) -> None:
    await end_sessions(Gateway(SESSIONS[1:2]).open, how)  # type: ignore[arg-type]
    assert capsys.readouterr().err == ""


async def test_a_gateway_that_is_gone_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    gateway = Gateway(SESSIONS)
    gateway.is_away = True
    await end_sessions(gateway.open, OnExit.STOP)  # type: ignore[arg-type]
    assert "not every position is closed: the gateway does not answer" in capsys.readouterr().err
