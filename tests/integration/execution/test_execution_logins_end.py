"""Logins that end in the middle of a session, at each broker's face: said within ten seconds, mended by a new login."""

import asyncio

import pytest
from testkit.execution_sandbox import FACES, SandboxLife, list_future, session_at
from testkit.sandbox import Box, sandbox

from tradebus.brokers.credentials import Credentials
from tradebus.kernel.clock import WallClock

_SAID = (
    "SELECT body -> 'differences' -> 0 ->> 'action' FROM events"
    " WHERE type = 'RECONCILE_MISMATCH' AND session_id = $1 AND body -> 'differences' -> 0 ->> 'what' = 'login'"
)  # fmt: skip


@pytest.fixture
def box():
    with sandbox(seed=3, instruments=60, limit_scale=0, opening_paise=10**13) as running:
        yield running


async def test_it_is_said_and_a_new_login_is_taken_up(box: Box, store, tmp_path, where) -> None:
    await list_future(store)
    began_ns = WallClock().now_ns()
    async with SandboxLife(where, tmp_path, box, began_wall_ns=began_ns) as life:
        for face in FACES:
            await life.started(session_at(face))
            await life.opened(life.entry(face, 1))
        kept = Credentials(tmp_path)
        for face in FACES:
            box.on_loop(box.exchange.log_out, kept.get(face).access_token)
        async with asyncio.timeout(10):
            for face in FACES:
                row = await life.one(_SAID, face)
                assert row[0].startswith(f"`tradebus login --broker {face} --credential {face}`")
        entry = life.entry("kite", 2)
        await life.send(entry)
        await life.one("SELECT 1 FROM trades WHERE pos_id = $1 AND exit_reason = 'login_ended'", entry.pos_id)
        for face in FACES:
            kept.put(face, kept.get(face).renewed(box.token(face, face.upper())))
        for face in FACES:
            await life.leave(life.entry(face, 1))
            assert life.held(face) == 0
