"""What `tradebus up` does with its sessions when it is told to end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.cli.stack.on_exit import OnExit, end_sessions
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
        self.told: list[tuple[str, str]] = []
        self.awaited: list[str] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Gateway"]:
        if self.is_away:
            raise Unavailable("the gateway does not answer")
        yield self

    async def get(self, path: str, **query: object) -> dict[str, Any]:
        assert path == "/api/sessions"
        return {"sessions": self._sessions}

    async def command(self, action: str, *, user_id: str, data: dict[str, Any]) -> None:
        self.told.append((action, user_id))

    async def until(self, session_id: str, status: str, *, seconds: float) -> None:
        self.awaited.append(f"{session_id} {status}")


async def test_stop_ends_every_session_that_is_alive_and_waits_for_it() -> None:
    gateway = Gateway(SESSIONS)
    await end_sessions(gateway.open, OnExit.STOP)  # type: ignore[arg-type]
    assert gateway.told == [("STOP_TRADING", "asha"), ("STOP_TRADING", "mira")]
    assert gateway.awaited == ["s1 STOPPED", "s3 STOPPED"]


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
    assert "not every session has stopped: the gateway does not answer" in capsys.readouterr().err
