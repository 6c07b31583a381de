"""The senders of all accounts: made when an account's first request comes, each a task of its own.

Sessions on paper have none: the paper broker never waits for a network, and what is asked of it is done in line, in the
order of the market. That is what makes a paced run the same every time.
"""

import asyncio
from collections.abc import Callable

from services.execution.accounts.accounts import account_key
from services.execution.accounts.sender import Sender
from services.execution.sessions import PAPER, ExecutionSessions


class Senders:
    """`make` makes the sender of an account's name."""

    def __init__(self, sessions: ExecutionSessions, make: Callable[[str], Sender]) -> None:
        self._sessions, self._make = sessions, make
        self._by_account: dict[tuple[str, str], Sender] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def of(self, session_id: str) -> Sender | None:
        """The sender of a session's account; None for a session on paper, or one that is not known yet."""
        spec = self._sessions.known(session_id)
        if spec is None or spec.broker == PAPER:
            return None
        key = account_key(spec)
        found = self._by_account.get(key)
        if found is None:
            found = self._by_account[key] = self._make(":".join(key))
            self._tasks.append(asyncio.create_task(found.run(), name=f"sender {found.account}"))
        return found

    def is_busy(self, session_id: str, pos_id: str) -> bool:
        """Whether something of the position waits to leave, or has left and is not answered."""
        sender = self.of(session_id)
        return sender is not None and sender.is_busy(pos_id)

    async def close(self) -> None:
        """Ends them. What waited is committed: the next life looks it up and sends it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._by_account.clear()
