"""Why no position is opened in an account, kept in the book: an earlier life's word holds until this one has looked."""

from services.execution.accounts.accounts import TradingAccount
from services.execution.books.standings import AccountStandings


class AccountBlocks:
    """Of one account."""

    def __init__(self, account: TradingAccount, standings: AccountStandings) -> None:
        self._account, self._standings = account, standings
        self._kept: str | None = None  # nobody knows yet what the book says

    async def keep(self) -> None:
        """Stores the account's word where it has changed. Raises what the book's absence raises."""
        blocked = self._account.blocked
        if blocked != self._kept:
            await self._standings.block(self._account.name, blocked)
            self._kept = blocked
