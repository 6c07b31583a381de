"""The exits of one account that are sent past execution: tags, terms, and what is known of each."""

import asyncio
from collections.abc import Mapping, Sequence

from services.cli.killing.exit_tags import ExitTags
from services.cli.killing.seen import SeenInstruments, contract_terms
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.ports import OrderGateway
from tradebus.brokers.reference import ListedInstrument, ReferenceData
from tradebus.calendar import Contract
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.execution.closing.plan import AccountView
from tradebus.execution.closing.terms import TAGS_PER_INSTRUMENT, ExitTerms, exit_terms
from tradebus.execution.decisions import MARKET_PROTECTION_PCT
from tradebus.execution.leaving.pricing import Touch
from tradebus.kernel.clock import Clock
from tradebus.kernel.money import slices
from tradebus.kernel.time import ist_date
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import BrokerStatus, OrderRequest, Result

_FILLS_SECONDS = 1.5  # an exit that rests longer is cancelled, and priced anew
_AGAIN_SECONDS, _LATEST_SECONDS = 0.25, 4.0  # after a refusal, twice as long each time
_LOOK_UP_SECONDS = 1.0  # what the book does not show by then is looked up by its tag
_MOVES_SECONDS = 3.0  # positions are told later than fills, but not later than this


class Exits:
    """Of one account. Invariant: an instrument has no exit sent while one that was sent for it before is not known to
    have ended or never to have arrived."""

    def __init__(
        self, account: str, gateway: OrderGateway, seen: SeenInstruments, tags: ExitTags, reference: ReferenceData,
        *, everything: bool, clock: Clock, timers: Timers,
    ) -> None:  # fmt: skip
        self._account, self._gateway, self._seen, self._tags = account, gateway, seen, tags
        self._reference, self._everything, self._clock, self._timers = reference, everything, clock, timers
        self._day = ist_date(clock.now_ns())
        self._open: dict[str, int] = {}  # sent, and not seen in the book: their instruments
        self._since_ns: dict[str, int] = {}  # by tag: when it was sent
        self._attempts: dict[int, int] = {}
        self._not_before_ns: dict[int, int] = {}
        self._before: dict[int, tuple[int, int]] = {}  # by instrument: the net that was closed, and when
        self.sent: dict[str, int] = {}  # this run's, with their instruments
        self._rejected: set[str] = set()
        self.problem = ""

    def expect(self, tag: str, instrument: int) -> None:
        """Somebody may have sent an order of this tag: nothing is sent for the instrument before that is known."""
        self._open[tag], self._since_ns[tag] = instrument, self._timers.monotonic_ns()

    def see(self, view: AccountView) -> None:
        """What the book shows is not in doubt any more."""
        for order in view.orders:
            self._open.pop(order.tag, None)
            if order.status is BrokerStatus.REJECTED and order.tag in self.sent and order.tag not in self._rejected:
                self._rejected.add(order.tag)
                self._refused(order.instrument, f"an exit of {order.quantity} was rejected: {order.reason}")
        for instrument, (net, at_ns) in list(self._before.items()):
            if view.intraday.get(instrument, 0) != net or self._passed(at_ns, _MOVES_SECONDS):
                del self._before[instrument]

    @property
    def unresolved(self) -> Mapping[str, int]:
        """Tags that may be at the broker without being in its book, with their instruments."""
        moving = {f"position {one}": one for one in self._before} if self._everything else {}
        return self._open | moving

    @property
    def young(self) -> set[str]:
        """Exits that are given time to fill."""
        return {tag for tag in self.sent if not self._passed(self._since_ns[tag], _FILLS_SECONDS)}

    async def look_up(self) -> None:
        """Asks for what the book does not show. What certainly never arrived is not waited for any more."""
        asked = [
            tag for tag, at_ns in self._since_ns.items() if tag in self._open and self._passed(at_ns, _LOOK_UP_SECONDS)
        ]
        for tag, found in zip(asked, await asyncio.gather(*map(self._look_up, asked)), strict=True):
            if found:
                self._open.pop(tag, None)

    async def close(self, held: Mapping[int, int]) -> None:
        """Sends exits for what is held, in signed units per instrument."""
        due = {one: quantity for one, quantity in held.items() if self._is_due(one)}
        wanted = [self._seen.listing(one) for one in due]
        touches = await self._touches(due, wanted)
        for instrument, listing in zip(due, wanted, strict=True):
            await self._close(instrument, due[instrument], listing, touches.get(instrument))

    async def _close(self, instrument: int, held: int, listing: ListedInstrument, touch: Touch | None) -> None:
        transaction = Transaction.SELL if held > 0 else Transaction.BUY
        attempt = self._attempts.get(instrument, 0)
        self._attempts[instrument] = attempt + 1
        contract = contract_terms(listing, self._day)
        terms = exit_terms(contract, transaction=transaction, attempt=attempt, touch=touch, day=self._day)
        self._before[instrument] = held, self._timers.monotonic_ns()
        parts = slices(abs(held), lot_size=contract.lot_size, freeze_quantity=contract.freeze_quantity)
        await asyncio.gather(*(self._place(instrument, contract, transaction, part, terms) for part in parts))

    async def _place(
        self, instrument: int, contract: Contract, transaction: Transaction, quantity: int, terms: ExitTerms
    ) -> None:
        tag = self._tags.next(instrument)
        if tag is None:
            self.problem = f"{contract.symbol}: {TAGS_PER_INSTRUMENT} exits were sent for it; close it at the broker"
            return
        self.sent[tag] = instrument
        self.expect(tag, instrument)
        await asyncio.to_thread(self._tags.write, tag, instrument, transaction, quantity)
        protected = terms.order_type is OrderType.MARKET
        request = OrderRequest(
            account=self._account, tag=tag, instrument=instrument, symbol=contract.symbol,
            transaction=transaction, order_type=terms.order_type, quantity=quantity, lot_size=contract.lot_size,
            tick_size_paise=contract.tick_size_paise, at_ns=self._clock.now_ns(), price_paise=terms.price_paise,
            market_protection_pct=MARKET_PROTECTION_PCT if protected else None, role=OrderRole.EXIT,
            contract=contract,
        )  # fmt: skip
        outcome = await self._gateway.place(request)
        self._since_ns[tag] = self._timers.monotonic_ns()
        if outcome.result is Result.REFUSED:
            self._open.pop(tag, None)
            self._before.pop(instrument, None)
            self._refused(instrument, f"an exit of {quantity} was refused: {outcome.reason}")

    def _refused(self, instrument: int, what: str) -> None:
        """Again a little later each time: a broker that refuses is not hammered."""
        pause = min(_AGAIN_SECONDS * 2 ** self._attempts.get(instrument, 0), _LATEST_SECONDS)
        self._not_before_ns[instrument] = self._timers.monotonic_ns() + int(pause * 1e9)
        self.problem = f"{self._seen.symbol(instrument)}: {what}"

    async def _touches(self, due: Mapping[int, int], wanted: Sequence[ListedInstrument]) -> Mapping[int, Touch]:
        """The prices of now, where one of them is asked for; none where the broker does not tell."""
        if not any(self._attempts.get(one, 0) or row.key.is_option for one, row in zip(due, wanted, strict=True)):
            return {}
        try:
            quotes = await self._reference.quotes(wanted)
        except BrokerError as error:
            self.problem = f"no prices: {error}"
            return {}
        instruments = list(due)
        return {
            instruments[int(quote["instrument"])]: Touch(
                int(quote["bid_paise"][0]), int(quote["ask_paise"][0]), int(quote["price_paise"])
            )
            for quote in quotes
        }

    async def _look_up(self, tag: str) -> bool:
        found = await self._gateway.find_by_tag(self._account, tag)
        return found.order is not None or found.definitive

    def _is_due(self, instrument: int) -> bool:
        return self._timers.monotonic_ns() >= self._not_before_ns.get(instrument, 0)

    def _passed(self, since_ns: int, seconds: float) -> bool:
        return self._timers.monotonic_ns() - since_ns >= seconds * 1e9
