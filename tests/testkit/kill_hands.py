"""`tradebus kill` as a person runs it, at a sandbox where positions are opened by hand."""

import asyncio
import json
from pathlib import Path
from typing import Any

from services.sandbox.ports import FINAL, BrokerName, NewOrder, SandboxInstrument, SandboxOrder, TriggerLeg
from testkit.command import Shell
from testkit.exchange_hands import BUY, MARKET, SL_M
from testkit.execution_sandbox import FACES, KEY
from testkit.sandbox import Box
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.ids import derive_tag
from tradebus.trading.orders import Product


class KillHands:
    """One account at each face, its login stored in `state`."""

    def __init__(self, box: Box, state: Path, **variables: str) -> None:
        self.box, self.state = box, state
        urls = {f"TRADEBUS_{face.upper()}_URL": box.sandbox.url(face) for face in FACES}
        self.shell = Shell.at(state, **urls, **variables)

    def log_in(self) -> None:
        for face in FACES:
            token = self.box.token(face, face.upper())
            login = Credential(face, face.upper(), access_token=token, account=face.upper())
            Credentials(self.state).put(face, login)

    def instrument(self, key: str = KEY) -> SandboxInstrument:
        found = self.box.exchange.by_key(key)
        assert found is not None, key
        return found

    def place(
        self, face: str, transaction: Transaction, *, cause: str = "", key: str = KEY, quantity: int = 0,
        product: Product = Product.INTRADAY, trigger_share: float = 0.0,
    ) -> SandboxOrder:  # fmt: skip
        """At the market, or a stop at `trigger_share` of the last price. Ours where a `cause` gives it a tag."""
        listed = self.instrument(key)
        last = int(self.box.exchange.quotes["price_paise"][listed.index])
        tick = listed.tick_size_paise
        order = NewOrder(
            instrument=listed.index, transaction=transaction, order_type=SL_M if trigger_share else MARKET,
            product=product, quantity=quantity or listed.lot_size, market_protection_pct=-1,
            trigger_paise=round(last * trigger_share) // tick * tick, tag=derive_tag(cause, face) if cause else "",
        )  # fmt: skip
        return self.box.on_loop(self.box.exchange.place, face.upper(), order)

    def enter(self, face: str, *, cause: str = "entry", key: str = KEY, quantity: int = 0) -> None:
        """A position of ours."""
        self.place(face, BUY, cause=cause, key=key, quantity=quantity)

    def two_legs(self, face: str) -> str:
        """A trigger of the broker's own that sells a lot 3 % below or above the market; its id."""
        listed = self.instrument()
        last, tick = int(self.box.exchange.quotes["price_paise"][listed.index]), listed.tick_size_paise
        legs = []
        for share in (0.97, 1.03):
            paise = round(last * share) // tick * tick
            order = NewOrder(
                instrument=listed.index, transaction=Transaction.SELL, order_type=OrderType.LIMIT,
                product=Product.INTRADAY, quantity=listed.lot_size, price_paise=paise,
            )  # fmt: skip
            legs.append(TriggerLeg(paise, order))
        place = self.box.exchange.place_trigger
        return self.box.on_loop(place, face.upper(), BrokerName(face), listed.index, legs).trigger_id

    def orders(self, face: str) -> list[SandboxOrder]:
        return list(self.box.on_loop(self.box.exchange.orders, face.upper()))

    def resting(self, face: str) -> list[SandboxOrder]:
        return [order for order in self.orders(face) if order.status not in FINAL]

    def held(self, face: str, key: str = KEY) -> int:
        """What the account has of the instrument at the exchange, in units."""
        index = self.instrument(key).index
        return sum(
            one.day_buy_quantity - one.day_sell_quantity
            for one in self.box.on_loop(self.box.exchange.positions, face.upper())
            if one.instrument == index
        )

    async def kill(self, *options: str, code: int = 0) -> dict[str, Any]:
        """What `tradebus kill` says, its accounts by broker, and how long it took."""
        began_ns = monotonic_ns()
        found = await asyncio.to_thread(self.shell, "kill", *options, "--json", code=code)
        said: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
        accounts = {one["account"].partition(":")[0]: one for one in said["accounts"]}
        return said | {"of": accounts, "took_seconds": (monotonic_ns() - began_ns) / 1e9, "stderr": found.stderr}
