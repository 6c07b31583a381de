"""Our book's orders of one account: a tag alone does not say whose book an order is in."""

from collections.abc import Awaitable, Callable, Sequence

from services.execution.accounts.accounts import TradingAccount, account_key
from services.execution.books.ports import OwnBook
from tradebus.contracts.sessions import SessionSpec
from tradebus.execution.reconciliation import OwnOrder
from tradebus.kernel.errors import InvalidInput
from tradebus.trading.orders import BrokerOrder


class OwnOrders:
    """One per account. `spec_of` raises InvalidInput for a session that is not in the book."""

    def __init__(
        self, account: TradingAccount, book: OwnBook, spec_of: Callable[[str], Awaitable[SessionSpec]]
    ) -> None:
        self._account, self._book, self._spec_of = account, book, spec_of

    async def beside(self, lines: Sequence[BrokerOrder]) -> list[OwnOrder]:
        """Those that the broker's lines are about, and those of the account's sessions that have not ended."""
        found = await self._book.orders([line.tag for line in lines if line.tag], list(self._account.sessions))
        return [own for own in found if await self.is_of_account(own.session_id)]

    async def of_tag(self, tag: str) -> OwnOrder | None:
        """The order that bears the tag, of whatever account."""
        found = await self._book.orders([tag], [])
        return found[0] if found else None

    async def is_of_account(self, session_id: str) -> bool:
        """Whether that session's orders are in this account's book."""
        if session_id in self._account.sessions:
            return True
        try:
            return account_key(await self._spec_of(session_id)) == self._account.key
        except InvalidInput:
            return False
