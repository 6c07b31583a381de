"""The paper broker's book in memory. Several gateways may share one, as several processes share Postgres."""

from collections.abc import Sequence

from tradebus.trading.matching.paper import PaperOrder


class MemoryPaperBook:
    """See `tradebus.brokers.paper.port.PaperBook`."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[PaperOrder, int]] = {}
        self._id_of_tag: dict[str, str] = {}

    async def insert(self, order: PaperOrder) -> None:
        if self._id_of_tag.setdefault(order.request.tag, order.broker_order_id) == order.broker_order_id:
            self._rows.setdefault(order.broker_order_id, (order, 0))

    async def save(self, order: PaperOrder, *, version: int) -> bool:
        row = self._rows.get(order.broker_order_id)
        if row is None or row[1] != version:
            return False
        self._rows[order.broker_order_id] = (order, version + 1)
        return True

    async def by_id(self, broker_order_id: str) -> tuple[PaperOrder, int] | None:
        return self._rows.get(broker_order_id)

    async def by_tag(self, account: str, tag: str) -> tuple[PaperOrder, int] | None:
        row = self._rows.get(self._id_of_tag.get(tag, ""))
        return row if row is not None and row[0].request.account == account else None

    async def of_account(self, account: str) -> Sequence[PaperOrder]:
        return [order for _, (order, _) in sorted(self._rows.items()) if order.request.account == account]
