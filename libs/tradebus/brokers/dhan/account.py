"""Money, positions and holdings at Dhan. Every method raises BrokerError and nothing else."""

from collections.abc import Sequence

from tradebus.brokers.account import AccountMargins, BasketOrder, BrokerHolding, NetPosition
from tradebus.brokers.dhan.client import DhanClient
from tradebus.brokers.dhan.failures import NothingThere
from tradebus.brokers.dhan.fields import Row, mapping_of, paise, paise_or_none, rows_of, text, text_or_none, whole
from tradebus.brokers.dhan.words import BROKER, PRODUCT_WORDS
from tradebus.brokers.errors import NoAnswer, Refused

_ENGAGED = ("ACTIVATE", "ACTIVATED", "ACTIVE")


class DhanAccount:
    def __init__(self, client: DhanClient) -> None:
        self._client = client

    async def margins(self) -> AccountMargins:
        row = mapping_of("funds", await self._client.read("funds", lambda sdk: sdk.get_fund_limits()))
        # The field's name is misspelt at Dhan; should it ever be mended, the right one is there to be read.
        name = "availabelBalance" if "availabelBalance" in row else "availableBalance"
        return AccountMargins(
            available_paise=paise("funds", row, name), used_paise=paise("funds", row, "utilizedAmount")
        )

    async def basket_margin_paise(self, orders: Sequence[BasketOrder]) -> int:
        """Dhan's calculator for several orders."""
        scrips = [
            {
                "exchangeSegment": one.listing.broker_segment, "transactionType": one.transaction.value,
                "quantity": one.quantity, "productType": PRODUCT_WORDS[one.product], "securityId": one.listing.token,
                "price": one.price_paise / 100, "triggerPrice": 0.0,
            }
            for one in orders
        ]  # fmt: skip
        body = await self._client.read("basket margin", lambda sdk: sdk.margin_calculator_multi(scrips))
        return paise("basket margin", mapping_of("basket margin", body), "total_margin")

    async def engage_kill_switch(self) -> None:
        """For the rest of the trading day. Dhan takes it of an account without positions and open orders."""
        what = "kill switch"
        try:
            await self._client.once(what, lambda sdk: sdk.kill_switch("ACTIVATE"))
        except NoAnswer:
            pass  # how it stands says whether it arrived
        if not await self.kill_switch_engaged():
            raise Refused(BROKER, "the kill switch is not engaged: it was asked for, and its status says so")

    async def kill_switch_engaged(self) -> bool | None:
        what = "kill switch"
        body = await self._client.read(what, lambda sdk: sdk.status_kill_switch())
        return text(what, mapping_of(what, body), "killSwitchStatus").upper() in _ENGAGED

    async def positions(self) -> Sequence[NetPosition]:
        """The day's, closed ones included."""
        return [_position(row) for row in await self._rows("positions", "get_positions")]

    async def holdings(self) -> Sequence[BrokerHolding]:
        return [_holding(row) for row in await self._rows("holdings", "get_holdings")]

    async def registered_addresses(self) -> Sequence[str] | None:
        """The primary one and the secondary one."""
        row = mapping_of("addresses", await self._client.read("addresses", lambda sdk: sdk.dhan_http.get("/ip/getIP")))
        return [found for name in ("primaryIP", "secondaryIP") if (found := text_or_none(row.get(name)))]

    async def _rows(self, what: str, method: str) -> list[Row]:
        try:
            body = await self._client.read(what, lambda sdk: getattr(sdk, method)())
        except NothingThere:
            return []
        return list(rows_of(what, body))


def _position(row: Row) -> NetPosition:
    what = f"position {text_or_none(row.get('tradingSymbol')) or text('position', row, 'securityId')}"
    quantity, cost = whole(what, row, "netQty"), paise_or_none(row.get("costPrice"))
    side = "buyAvg" if quantity >= 0 else "sellAvg"
    return NetPosition(
        token=text(what, row, "securityId"), broker_segment=text(what, row, "exchangeSegment"),
        symbol=text_or_none(row.get("tradingSymbol")) or "", product=text(what, row, "productType"),
        quantity=quantity, buy_quantity=whole(what, row, "buyQty"), sell_quantity=whole(what, row, "sellQty"),
        average_price_paise=cost if cost else paise(what, row, side),
        realised_paise=paise(what, row, "realizedProfit"), unrealised_paise=paise(what, row, "unrealizedProfit"),
    )  # fmt: skip


def _holding(row: Row) -> BrokerHolding:
    what = f"holding {text('holding', row, 'tradingSymbol')}"
    return BrokerHolding(
        symbol=text(what, row, "tradingSymbol"), isin=text_or_none(row.get("isin")) or "",
        quantity=whole(what, row, "totalQty"), average_price_paise=paise(what, row, "avgCostPrice"),
        last_price_paise=paise_or_none(row.get("lastTradedPrice")) or 0,  # older replies have none
    )  # fmt: skip
