"""The senders of all accounts: made when an account's first request comes, each a task of its own.

Sessions on paper have none: the paper broker never waits for a network, and what is asked of it is done in line, in the
order of the market. That is what makes a paced run the same every time.

Invariant (tested): while this is open every account that ever had a request has a sender that runs. One whose task has
ended all the same is started again, with what waits there.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from services.execution.accounts.accounts import account_key
from services.execution.accounts.sender import Sender
from services.execution.sessions import PAPER, ExecutionSessions
from tradebus.execution.step import Request
from tradebus.execution.trade import Trade
from tradebus.kernel.timers import Timers
from tradebus.runtime.consuming.trouble import Trouble

_AGAIN_SECONDS = 0.5


class Senders:
    """`make` makes the sender of an account's name."""

    def __init__(self, sessions: ExecutionSessions, make: Callable[[str], Sender], *, timers: Timers) -> None:
        self._sessions, self._make, self._timers = sessions, make, timers
        self._by_account: dict[tuple[str, str], Sender] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by account's name
        self._is_open = True

    @property
    def troubles(self) -> list[Trouble]:
        """What keeps accounts from sending."""
        return [sender.trouble for sender in self._by_account.values()]

    def of(self, session_id: str) -> Sender | None:
        """The sender of a session's account; None for a session on paper, or one that is not known yet."""
        spec = self._sessions.known(session_id)
        if spec is None or spec.broker == PAPER:
            return None
        key = account_key(spec)
        found = self._by_account.get(key)
        if found is None:
            found = self._by_account[key] = self._make(":".join(key))
            self._run(found)
        return found

    def foresee(self, trade: Trade, requests: Sequence[Request]) -> None:
        """See `Sender.foresee`."""
        sender = self.of(trade.session_id)
        if sender is not None:
            sender.foresee(trade, requests)

    def is_busy(self, session_id: str, pos_id: str) -> bool:
        """Whether something of the position waits to leave, or has left and is not answered."""
        sender = self.of(session_id)
        return sender is not None and sender.is_busy(pos_id)

    async def close(self) -> None:
        """Ends them. What waited is committed: the next life looks it up and sends it."""
        self._is_open = False
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._by_account.clear()

    def _run(self, sender: Sender) -> None:
        if not self._is_open:
            return
        task = self._tasks[sender.account] = asyncio.create_task(sender.run(), name=f"sender {sender.account}")
        task.add_done_callback(partial(self._ended, sender))

    def _ended(self, sender: Sender, task: asyncio.Task[None]) -> None:
        if not self._is_open:
            return
        error = None if task.cancelled() else task.exception()
        sender.trouble.problem = f"nothing leaves for {sender.account}: its sender has ended and is started again"
        sender.metrics.failed(sender.account, error, of="task")
        self._timers.after(_AGAIN_SECONDS, lambda: self._run(sender))
