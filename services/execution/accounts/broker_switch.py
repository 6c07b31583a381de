"""The broker's own kill switch after ours, where the settings ask for it.

    our switch is engaged ─► the account is flat, of ours and of others, at two looks in a row ─► engaged, told
                                 │                        └─ the broker offers none, or refuses ─► told
                                 └─ something stays ─► not engaged, told once

Behind the broker's switch no order leaves, exits included: that is why it comes last, and never while anything is held
or rests. It is engaged once for each time that ours is; a person releases it at the broker.
"""

from collections.abc import Callable, Sequence

import structlog

from services.execution.accounts.accounts import TradingAccount
from tradebus.brokers.errors import BrokerError, Refused
from tradebus.contracts.orders import Difference
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import BrokerOrder
from tradebus.waiting.timers import deadline

_LOOKS, _PATIENT_LOOKS = 2, 12
_SECONDS = 5.0
_log = structlog.get_logger()


class BrokerSwitch:
    """Of one account. `wanted` says whether our switch is engaged and the broker's is to follow it."""

    def __init__(self, account: TradingAccount, *, wanted: Callable[[], bool], timers: Timers) -> None:
        self._account, self._wanted, self._timers = account, wanted, timers
        self._flat_looks = self._held_looks = 0
        self._is_done = False

    async def look(self, book: Sequence[BrokerOrder]) -> list[Difference]:
        """What was done, for people; `book` is the account's order book of now."""
        if not self._wanted():
            self._flat_looks = self._held_looks = 0
            self._is_done = False
            return []
        if self._is_done:
            return []
        try:
            async with deadline(self._timers, _SECONDS):  # orders wait for the look that this is part of
                left = await self._engaged(book)
        except Refused as error:
            self._is_done = True
            return [self._told(str(error), "engage it at the broker, if it is to be engaged")]
        except (BrokerError, TimeoutError) as error:
            said = str(error) or f"no answer in {_SECONDS:g} s"
            _log.warning("the broker's kill switch: trying again", account=self._account.name, error=said)
            return []
        if left is None:
            self._is_done = True
            return [self._told("engaged", "release it at the broker when trading is to go on")]
        self._held_looks += bool(left)
        if left and self._held_looks == _PATIENT_LOOKS:
            return [self._told(f"not engaged: {', '.join(left)} would be locked in", "close it: it follows then")]
        return []

    async def _engaged(self, book: Sequence[BrokerOrder]) -> list[str] | None:
        """None where it is engaged now; else what is held or rests still, nothing at the first look without."""
        account = self._account.broker.account
        left = [f"{row.quantity:+d} {row.symbol}" for row in await account.positions() if row.quantity]
        left += [f"order {order.broker_order_id}" for order in book if not order.status.final]
        self._flat_looks = 0 if left else self._flat_looks + 1
        if self._flat_looks < _LOOKS:
            return left
        await account.engage_kill_switch()
        return None

    def _told(self, brokers: str, action: str) -> Difference:
        return Difference(what="kill switch", ours="engaged", brokers=brokers, action=action)
