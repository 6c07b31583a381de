"""Money, positions and holdings of a Kite account. Equity and derivatives; commodities have a purse of their own."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tradebus.brokers.account import AccountMargins, BasketOrder, BrokerHolding, NetPosition
from tradebus.brokers.common.replies.rows import Row, Unreadable, paise, row_of, rows_of, text, whole
from tradebus.brokers.errors import Malformed, Refused
from tradebus.brokers.kite.client import KiteClient, get
from tradebus.brokers.kite.replies import identity, optional_text
from tradebus.brokers.kite.settings import BROKER
from tradebus.brokers.kite.tickets import margin_ticket

T = TypeVar("T")


class KiteAccount:
    """Reads only. Raises BrokerError: money that cannot be read is never shown as 0."""

    def __init__(self, client: KiteClient) -> None:
        self._client = client

    async def margins(self) -> AccountMargins:
        """`net` is what may be traded with, collateral included; `debits` is all that is used."""
        return await self._read("margins", lambda sdk: get(sdk, "user.margins"), _margins)

    async def basket_margin_paise(self, orders: Sequence[BasketOrder]) -> int:
        """Kite's basket calculator: `final` is with the benefit of hedges."""
        tickets = [margin_ticket(one) for one in orders]
        return await self._read(
            "basket margin", lambda sdk: sdk.basket_order_margins(tickets, consider_positions=False), _basket_paise
        )

    async def engage_kill_switch(self) -> None:
        raise Refused(BROKER, "offers no kill switch to programs; a person switches segments off at Kite's Console")

    async def kill_switch_engaged(self) -> bool | None:
        return None

    async def positions(self) -> Sequence[NetPosition]:
        """Kite's net list, closed positions of the day included (quantity 0)."""
        return await self._read("positions", lambda sdk: get(sdk, "portfolio.positions"), _positions)

    async def holdings(self) -> Sequence[BrokerHolding]:
        """What was bought yesterday and is not delivered yet (T1) counts."""
        return await self._read("holdings", lambda sdk: get(sdk, "portfolio.holdings"), _holdings)

    async def registered_addresses(self) -> Sequence[str] | None:
        """Kite shows them on the page of the app, not to the app."""
        return None

    async def _read(self, what: str, use: Callable[[Any], Any], interpret: Callable[[Any], T]) -> T:
        data = await self._client.read(what, use)
        try:
            return interpret(data)
        except Unreadable as error:
            raise Malformed(BROKER, self._client.redactor.text(f"{what}: {error}")) from None


def _margins(data: object) -> AccountMargins:
    equity = row_of(row_of(data, what="margins").get("equity"), what="equity")
    return AccountMargins(
        available_paise=paise(equity, "net"),
        used_paise=paise(row_of(equity.get("utilised"), what="utilised"), "debits"),
    )


def _basket_paise(data: object) -> int:
    return paise(row_of(row_of(data, what="basket margin").get("final"), what="final"), "total")


def _positions(data: object) -> list[NetPosition]:
    return [_position(row) for row in rows_of(row_of(data, what="positions").get("net"), what="net positions")]


def _position(row: Row) -> NetPosition:
    return NetPosition(
        token=identity(row, "instrument_token"), broker_segment=text(row, "exchange"),
        symbol=text(row, "tradingsymbol"), product=text(row, "product"), quantity=whole(row, "quantity"),
        buy_quantity=whole(row, "buy_quantity"), sell_quantity=whole(row, "sell_quantity"),
        average_price_paise=paise(row, "average_price"), realised_paise=paise(row, "realised"),
        unrealised_paise=paise(row, "unrealised"),
    )  # fmt: skip


def _holdings(data: object) -> list[BrokerHolding]:
    return [_holding(row) for row in rows_of(data, what="holdings")]


def _holding(row: Row) -> BrokerHolding:
    waiting = whole(row, "t1_quantity") if row.get("t1_quantity") is not None else 0
    return BrokerHolding(
        symbol=text(row, "tradingsymbol"), isin=optional_text(row, "isin"), quantity=whole(row, "quantity") + waiting,
        average_price_paise=paise(row, "average_price"), last_price_paise=paise(row, "last_price"),
    )  # fmt: skip
