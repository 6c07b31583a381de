"""Looking orders up in a broker's order book and trades: the half of an order gateway that asks and changes nothing."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import structlog

from tradebus.brokers.common.orders.book import BookLine, FillsByOrder
from tradebus.brokers.common.orders.settling import Settling
from tradebus.brokers.common.replies.rows import Row, Unreadable, rows_of
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.redaction import Redactor
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, Lookup

Line = TypeVar("Line", bound=BookLine)
_log = structlog.get_logger()


class LookupClient(Protocol):
    """What looking up needs of a login: what takes its secrets out of texts, and what is waited by."""

    @property
    def redactor(self) -> Redactor: ...

    @property
    def timers(self) -> Timers: ...


class BookReader(ABC, Generic[Line]):
    """An adapter says how to ask and how to read a row; what the rows mean together is the same everywhere.

    A tag that the book does not have is absent for certain only where the whole book was read, and had time to settle.
    """

    def __init__(self, broker: str, client: LookupClient, settling: Settling) -> None:
        self._broker, self._redactor, self._settling = broker, client.redactor, settling
        self._timers = client.timers

    @abstractmethod
    async def ask_orders(self) -> object:
        """The order book as it comes. Raises BrokerError."""

    @abstractmethod
    async def ask_trades(self) -> object:
        """The trades of the day as they come. Raises BrokerError."""

    @abstractmethod
    async def ask_trades_of(self, broker_order_id: str, *, patient: bool) -> object:
        """The trades of one order as they come, asked for again where `patient`. Raises BrokerError."""

    @abstractmethod
    def line_in(self, row: Row) -> Line:
        """Raises Unreadable."""

    @abstractmethod
    def fills_in(self, rows: Iterable[Row]) -> FillsByOrder:
        """Trades by order id."""

    @abstractmethod
    def report(self, account: str, line: Line, fills: Sequence[BrokerFill]) -> BrokerOrder:
        """The order in the common vocabulary."""

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        """The order with its fills."""
        asked_ns = self._timers.monotonic_ns()
        if self._settling.under_way(tag):
            return Lookup(None, definitive=False)
        try:
            lines, unreadable = await self.lines()
        except (BrokerError, Unreadable) as error:
            _log.warning(f"{self._broker}: the order book cannot be read", tag=tag, reason=self._redactor.text(error))
            return Lookup(None, definitive=False)
        found = [line for line in lines if tag in line.tags]
        if not found:
            return Lookup(None, definitive=self._settling.absent(tag, asked_ns=asked_ns) and not unreadable)
        line = self._liveliest(tag, found)
        fills = await self.fills(line.order_id) if line.filled_quantity > 0 else ()
        return Lookup(self.report(account, line, fills), definitive=True)

    async def order_book(self, account: str) -> Sequence[BrokerOrder] | None:
        try:
            lines, unreadable = await self.lines()
            if unreadable:  # leaving an order out would say that it is not there
                return None
            fills: Mapping[str, Sequence[BrokerFill]] = {}
            if any(line.filled_quantity for line in lines):
                fills = self.fills_in(rows_of(await self.ask_trades(), what="trades"))
        except (BrokerError, Unreadable) as error:
            _log.warning(f"{self._broker}: the order book cannot be read", reason=self._redactor.text(error))
            return None
        return [self.report(account, line, fills.get(line.order_id, ())) for line in lines]

    async def fills(self, broker_order_id: str, *, patient: bool = True) -> Sequence[BrokerFill]:
        """The fills of one order as far as the broker tells them now; none where it does not answer, asked once or,
        where `patient`, as often as a read may be."""
        try:
            rows = rows_of(await self.ask_trades_of(broker_order_id, patient=patient), what="order trades")
            return self.fills_in(rows).get(broker_order_id, ())
        except (BrokerError, Unreadable) as error:
            reason = self._redactor.text(error)
            _log.warning(f"{self._broker}: trades cannot be read", broker_order_id=broker_order_id, reason=reason)
            return ()

    async def lines(self) -> tuple[list[Line], int]:
        """The book's rows, and how many cannot be read. Raises BrokerError or Unreadable."""
        rows = rows_of(await self.ask_orders(), what="orders")
        lines: list[Line] = []
        for row in rows:
            try:
                lines.append(self.line_in(row))
            except Unreadable as error:
                reason = self._redactor.text(error)
                _log.error(f"{self._broker}: a row of the order book cannot be read", reason=reason)
        return lines, len(rows) - len(lines)

    def _liveliest(self, tag: str, lines: Sequence[Line]) -> Line:
        """Brokers do not keep tags unique. What made or can still make a position goes before what was refused."""
        if len(lines) > 1:
            order_ids = [line.order_id for line in lines]
            _log.error(f"{self._broker}: one tag, several orders", tag=tag, order_ids=order_ids)
        return max(lines, key=lambda line: (line.word.strip().upper() != BrokerStatus.REJECTED, line.filled_quantity))
