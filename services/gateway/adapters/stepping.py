"""What a command does to a session that runs, by what the book has: STOP, PAUSE, RESUME, FLATTEN, SETTLE.

A FLATTEN of a part is refused where it would mean nothing: a name that is mistaken must not pass for an order to close.
"""

from typing import Any

from services.gateway.asking.book import asked_book
from services.gateway.domain.body import CommandAction, ExternalCommand
from services.gateway.domain.lifecycle import LifecycleReport, LifecycleStep, Reject, decide_step
from services.gateway.domain.problems import Problems
from services.gateway.killswitch import killed_reason
from tradebus.contracts.signals import MANUAL, PROGRAMS
from tradebus.kernel.errors import nearest
from tradebus.store.book import Book
from tradebus.store.books import KillSwitchBook, instruments_book
from tradebus.trading.sessions import StoredSession


async def decide_from(
    book: Book, switch: KillSwitchBook, transaction: Any, command: ExternalCommand, *, alive: StoredSession | None,
    latest: StoredSession | None, asked: dict[str, Any],
) -> LifecycleStep | LifecycleReport | Reject:  # fmt: skip
    """`asked` are the command's fields."""
    assert command.user_id is not None
    killed = await killed_reason(switch, transaction) if command.action is CommandAction.RESUME else None
    decision = decide_step(
        command.action, user_id=command.user_id, alive=alive, latest=latest, killed_reason=killed
    )  # fmt: skip
    if command.action is not CommandAction.FLATTEN or alive is None or not isinstance(decision, LifecycleStep):
        return decision
    problems = Problems()
    _check_strategy(asked.get("strategy"), alive, problems)
    await _check_position(book, transaction, asked.get("pos_id"), alive, problems)
    return Reject(problems.errors) if problems else decision


def _check_strategy(strategy: str | None, alive: StoredSession, problems: Problems) -> None:
    names = [one.name for one in alive.spec.strategies]
    if strategy is None or strategy in (*names, MANUAL) or strategy.startswith(PROGRAMS):
        return
    near = nearest(strategy, names) or "; it has " + ", ".join(names)
    problems.add("data.strategy", f"the session runs no strategy of that name{near}")


async def name_symbol(book: Book, asked: dict[str, Any], problems: Problems) -> None:
    """The symbol in `asked` becomes the canonical one; where nobody knows it that is added to `problems`."""
    symbol, known = asked["symbol"], await instruments_book(book).load()
    underlyings = {one.underlying.upper(): one.underlying for one in known}
    if symbol in known:
        asked["symbol"] = known.find(symbol).symbol
    elif symbol.upper() in underlyings:
        asked["symbol"] = underlyings[symbol.upper()]
    else:
        near = nearest(symbol, (*known.names(), *underlyings))
        problems.add("data.symbol", f"unknown symbol{near}: nothing of it can be held")


async def _check_position(
    book: Book, transaction: Any, pos_id: str | None, alive: StoredSession, problems: Problems
) -> None:
    if pos_id is None:
        return
    found = await asked_book(book).position(transaction, pos_id, user_id=alive.user_id)
    if found is None or found.session_id != alive.session_id:
        problems.add("data.pos_id", f"no position of session {alive.session_id} has this id: /api/portfolio lists them")
