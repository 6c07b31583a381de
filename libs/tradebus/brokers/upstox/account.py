"""Money, positions and holdings of an Upstox account. Equity and derivatives; commodities have a purse of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from tradebus.brokers.account import AccountMargins, BasketOrder, BrokerHolding, NetPosition
from tradebus.brokers.common.replies.rows import Row, paise, row_of, rows_of, text, whole
from tradebus.brokers.errors import NoAnswer, Refused
from tradebus.brokers.upstox.client import API_VERSION, UpstoxClient, UpstoxSdk
from tradebus.brokers.upstox.replies import optional_text
from tradebus.brokers.upstox.settings import BROKER
from tradebus.brokers.upstox.words import PRODUCTS, segment_of


class UpstoxAccount:
    """Reads only. Raises BrokerError: money that cannot be read is never shown as 0. Upstox tells no funds at night
    (about 00:00 to 05:30 IST)."""

    def __init__(self, client: UpstoxClient) -> None:
        self._client = client

    async def margins(self) -> AccountMargins:
        return await self._client.read_as(
            "margins", lambda sdk, raw: sdk.api("UserApi").get_user_fund_margin(API_VERSION, **raw), _margins
        )

    async def basket_margin_paise(self, orders: Sequence[BasketOrder]) -> int:
        """Upstox's margin of several orders; `final_margin` is with the benefit of hedges."""

        def asked(sdk: UpstoxSdk, raw: Mapping[str, Any]) -> Any:
            instruments = [
                sdk.model(
                    "Instrument", instrument_key=one.listing.token, quantity=one.quantity,
                    product=PRODUCTS[one.product], transaction_type=one.transaction.value, price=one.price_paise / 100,
                )
                for one in orders
            ]  # fmt: skip
            return sdk.api("ChargeApi").post_margin(sdk.model("MarginRequest", instruments=instruments), **raw)

        return await self._client.read_as(
            "basket margin", asked, lambda data: paise(row_of(data, what="basket margin"), "final_margin")
        )

    async def engage_kill_switch(self) -> None:
        """Of every segment that the account trades in."""
        wanted = [row for row in await self._switches() if _takes_orders(row)]

        def asked(sdk: UpstoxSdk, raw: Mapping[str, Any]) -> Any:
            updates = [
                sdk.model("KillSwitchSegmentUpdateRequest", segment=text(row, "segment"), action="ENABLE")
                for row in wanted
            ]
            return sdk.api("UserApi").update_kill_switch(updates, **raw)

        if wanted:
            try:
                await self._client.once("kill switch", asked)
            except NoAnswer:
                pass  # how it stands says whether it arrived
        left = [text(row, "segment") for row in await self._switches() if _takes_orders(row)]
        if left:
            raise Refused(BROKER, f"the kill switch is not engaged in {', '.join(left)}")

    async def kill_switch_engaged(self) -> bool | None:
        return any(row.get("kill_switch_enabled") is True for row in await self._switches())

    async def _switches(self) -> list[Row]:
        return await self._client.read_as(
            "kill switch", lambda sdk, raw: sdk.api("UserApi").get_kill_switch(**raw),
            lambda data: list(rows_of(data, what="kill switch")),
        )  # fmt: skip

    async def positions(self) -> Sequence[NetPosition]:
        """Closed positions of the day included (quantity 0)."""
        return await self._client.read_as(
            "positions",
            lambda sdk, raw: sdk.api("PortfolioApi").get_positions(API_VERSION, **raw),
            lambda data: [_position(row) for row in rows_of(data, what="positions")],
        )

    async def holdings(self) -> Sequence[BrokerHolding]:
        """What was bought yesterday and is not delivered yet (T1) counts."""
        return await self._client.read_as(
            "holdings",
            lambda sdk, raw: sdk.api("PortfolioApi").get_holdings(API_VERSION, **raw),
            lambda data: [_holding(row) for row in rows_of(data, what="holdings")],
        )

    async def registered_addresses(self) -> Sequence[str] | None:
        """Upstox shows them on the page of the app, not to the app."""
        return None


def _takes_orders(row: Row) -> bool:
    return text(row, "segment_status").upper() == "ACTIVE" and row.get("kill_switch_enabled") is not True


def _margins(data: object) -> AccountMargins:
    equity = row_of(row_of(data, what="margins").get("equity"), what="equity")
    return AccountMargins(available_paise=paise(equity, "available_margin"), used_paise=paise(equity, "used_margin"))


def _position(row: Row) -> NetPosition:
    token = text(row, "instrument_token")
    return NetPosition(
        token=token, broker_segment=segment_of(token), symbol=text(row, "trading_symbol", "tradingsymbol"),
        product=text(row, "product"), quantity=whole(row, "quantity"),
        buy_quantity=whole(row, "day_buy_quantity") + _overnight(row, "overnight_buy_quantity"),
        sell_quantity=whole(row, "day_sell_quantity") + _overnight(row, "overnight_sell_quantity"),
        average_price_paise=_price(row, "average_price"), realised_paise=paise(row, "realised"),
        unrealised_paise=paise(row, "unrealised"),
    )  # fmt: skip


def _holding(row: Row) -> BrokerHolding:
    return BrokerHolding(
        symbol=text(row, "trading_symbol", "tradingsymbol"), isin=optional_text(row, "isin"),
        quantity=whole(row, "quantity") + _overnight(row, "t1_quantity"),
        average_price_paise=paise(row, "average_price"), last_price_paise=paise(row, "last_price"),
    )  # fmt: skip


def _overnight(row: Row, name: str) -> int:
    """Null where there was nothing."""
    return whole(row, name) if row.get(name) is not None else 0


def _price(row: Row, name: str) -> int:
    """Null for a position that is closed."""
    return paise(row, name) if row.get(name) is not None else 0
