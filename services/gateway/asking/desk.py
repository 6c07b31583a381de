"""PLACE_MANUAL, CLOSE_POSITION and SIGNAL: what a person and what a program asks for, each a source of its own.

A person may close any position of the user's; a program closes what it opened itself.
"""

from dataclasses import dataclass
from typing import Any

from services.gateway.asking.answers import DeskAnswer
from services.gateway.asking.book import AskedBook
from services.gateway.asking.making import AskedMade, Asker, SignalMaker
from services.gateway.domain.asked_orders import (
    ProgramExit,
    program_strategy,
    read_close,
    read_entry,
    read_program,
)
from services.gateway.domain.body import CommandAction, ExternalCommand
from services.gateway.domain.problems import Problems
from tradebus.contracts.signals import MANUAL
from tradebus.store.books import InstrumentsBook, SessionsBook


@dataclass(frozen=True, slots=True)
class OrdersDesk:
    """`paced`: data alone is time, and nobody from outside has a place in it."""

    maker: SignalMaker
    asked: AskedBook
    sessions: SessionsBook
    instruments: InstrumentsBook
    paced: bool

    async def carry_out(self, command: ExternalCommand, problems: Problems) -> DeskAnswer | None:
        if self.paced:
            problems.add(
                "action",
                "this market is paced (TRADEBUS_PACED): recorded time waits for nobody outside, and takes no orders",
            )
            return None
        match command.action:
            case CommandAction.CLOSE:
                made = await self._close(command, problems)
            case CommandAction.SIGNAL:
                made = await self._signal(command, problems)
            case _:
                asked = read_entry(command.data, await self.instruments.load(), problems)
                made = None if asked is None else await self.maker.enter(_person(command), asked, problems)
        if problems or made is None:
            return None
        session_id = str(made.signal.session_id)
        status = await self.sessions.status(session_id)
        return DeskAnswer(session_id, str(status), made.is_new, made.signal.event_id, made.signal.pos_id)

    async def _close(self, command: ExternalCommand, problems: Problems) -> AskedMade | None:
        asked, asker = read_close(command.data, problems), _person(command)
        if asked is None:
            return None
        return await self.maker.leave(
            asker, lambda transaction: self.asked.position(transaction, asked.pos_id, user_id=asker.user_id), problems,
            is_same=lambda known: known.pos_id == asked.pos_id, reason=asked.reason,
            missing=("data.pos_id", f"no position of user {asker.user_id} has this id: /api/portfolio lists them"),
        )  # fmt: skip

    async def _signal(self, command: ExternalCommand, problems: Problems) -> AskedMade | None:
        asked = read_program(command.data, await self.instruments.load(), problems)
        if asked is None:
            return None
        asker = _asker(command, program_strategy(asked.source), is_program=True)
        if not isinstance(asked, ProgramExit):
            return await self.maker.enter(asker, asked.entry, problems)
        symbol = asked.symbol

        async def own(transaction: Any) -> Any:
            return await self.asked.held_by(transaction, asker.source, symbol=symbol, user_id=asker.user_id)

        return await self.maker.leave(
            asker, own, problems, is_same=lambda known: known.symbol == symbol, reason=asked.reason,
            missing=("data.symbol", f"{asker.source} has asked for no position in {symbol}: it closes its own alone"),
        )  # fmt: skip


def _person(command: ExternalCommand) -> Asker:
    return _asker(command, MANUAL, is_program=False)


def _asker(command: ExternalCommand, source: str, *, is_program: bool) -> Asker:
    assert command.user_id is not None
    assert command.command_id is not None
    return Asker(command.user_id, source, command.command_id, is_program)
