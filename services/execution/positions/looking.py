"""The broker's net positions against ours: what nobody can explain, and what somebody closed by hand.

    order book ─► positions ─┬─ read, nothing under way there ─► judged: dispute, closed by hand, or agreed
                             └─ unread, or an order under way ─► unknown: what was found of it before stands

Invariant: what is not known ends no dispute. Positions and orders are read one after the other, and a fill between the
two is a difference that ends by itself: that of an instrument is judged only while nothing is under way in it.
"""

from collections.abc import Mapping, Sequence

from services.execution.accounts.accounts import TradingAccount
from services.execution.books.ports import OwnBook
from services.execution.positions.by_hand import ClosedByHand
from services.execution.positions.profit import AccountProfits
from services.execution.positions.reading import PositionReading
from services.execution.recovery.recurrence import Recurrence
from tradebus.brokers.account import NetPosition
from tradebus.contracts.orders import Difference
from tradebus.execution.reconciliation import (
    OwnOrder,
    disputed_positions,
    net_of,
    position_name,
    traded_by_position,
)
from tradebus.trading.orders import BrokerOrder
from tradebus.trading.states import OrderState

_INTRADAY = frozenset({"MIS", "INTRADAY", "I"})
_UNDER_WAY = frozenset({OrderState.PENDING, OrderState.UNKNOWN})


class PositionLook:
    """One per account."""

    def __init__(
        self, account: TradingAccount, own: OwnBook, by_hand: ClosedByHand, recurrence: Recurrence, *,
        reading: PositionReading, profits: AccountProfits, lost_seconds: float,
    ) -> None:  # fmt: skip
        self._profits = profits
        self._account, self._own, self._by_hand, self._recurrence = account, own, by_hand, recurrence
        self._reading, self._lost_seconds = reading, lost_seconds
        self._standing: list[Difference] = []
        self.is_read = self.is_known = False  # at the last look; and every position was judged then

    async def disputed(self, book: Sequence[BrokerOrder], ours: Sequence[OwnOrder]) -> list[Difference]:
        """What stands in dispute, beside the broker's order book and our orders in it. Raises what Postgres raises."""
        unknown = {own.instrument for own in ours if own.state in _UNDER_WAY}
        rows = await self._reading.rows()
        self.is_read = rows is not None
        self.is_known = self.is_read and not unknown
        if rows is None:
            return [*self._standing, *self._lost()]
        symbols: Mapping[int, str] = {
            instrument: row.symbol for instrument, row in self._account.listed.known.listings()
        }
        brokers, converted = self._by_instrument(rows)
        tags = {own.tag for own in ours} | self._account.fence.tags()
        others = net_of([order for order in book if order.tag not in tags])
        held = await self._own.net(list(self._account.sessions))
        found = disputed_positions(
            ours=_without(unknown, held), others=others, brokers=_without(unknown, brokers), symbols=symbols,
            converted=converted,
        )  # fmt: skip
        lasting = self._recurrence.lasting(found, moved=traded_by_position(ours, symbols))
        names = {one.what for one in lasting}
        await self._by_hand.reckon(
            ours=held, brokers=brokers, others=others, unknown=unknown,
            lasting={instrument for instrument in held if position_name(instrument, symbols) in names},
            tags={order.tag for order in book},
        )  # fmt: skip
        left = {position_name(instrument, symbols) for instrument in unknown}
        self._standing = [*(one for one in self._standing if one.what in left), *lasting]
        await self._profits.look(self._intraday(rows), symbols)  # last: nothing waits for it
        return self._standing

    @property
    def is_lost(self) -> bool:
        """They are unread for too long, as an order book may be."""
        return not self.is_read and self._reading.unread_seconds() >= self._lost_seconds

    def _lost(self) -> list[Difference]:
        if not self.is_lost:
            return []
        return [
            Difference(
                what="positions", ours="needed", brokers=f"unread for {self._lost_seconds:g} s",
                action="look at the broker's terminal whether anything was closed by hand; no position is opened until "
                "they are read, and what is held is left then",
            )
        ]  # fmt: skip

    def _by_instrument(self, rows: Sequence[NetPosition]) -> tuple[dict[int, int], dict[int, str]]:
        """Net intraday units, and what is held as another product."""
        known, brokers, converted = self._account.listed.known, dict[int, int](), dict[int, str]()
        for instrument, row in self._intraday(rows):
            brokers[instrument] = brokers.get(instrument, 0) + row.quantity
        for row in rows:
            other = known.instrument_of(row.broker_segment, row.token)
            if other is not None and row.quantity and row.product.upper() not in _INTRADAY:
                converted[other] = f"{row.quantity} as {row.product}"
        return brokers, converted

    def _intraday(self, rows: Sequence[NetPosition]) -> list[tuple[int, NetPosition]]:
        known = self._account.listed.known
        named = [(known.instrument_of(row.broker_segment, row.token), row) for row in rows]
        return [(number, row) for number, row in named if number is not None and row.product.upper() in _INTRADAY]


def _without(unknown: set[int], quantities: Mapping[int, int]) -> dict[int, int]:
    return {instrument: quantity for instrument, quantity in quantities.items() if instrument not in unknown}
