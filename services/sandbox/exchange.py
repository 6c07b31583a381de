"""The exchange that the faces show: `ports.Exchange` over one trading floor.

Market time is the time of the last step; between two steps `now_ns` follows the wall clock at the set speed, never past
the next step. `advance` moves it; the driver calls that in step with the wall clock, a test by hand.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from services.sandbox.domain.accounts.logins import TokenRegister
from services.sandbox.domain.accounts.views import Views
from services.sandbox.domain.floor import Floor
from services.sandbox.domain.instruments.directory import InstrumentDirectory
from services.sandbox.domain.instruments.listing import generate_listing
from services.sandbox.domain.instruments.shape import Ints, ListingKind, Process, process_of
from services.sandbox.domain.instruments.underlyings import underlyings
from services.sandbox.domain.prices.past import Past
from services.sandbox.domain.prices.paths import ValuePath
from services.sandbox.domain.prices.pricing import RATE, YEAR_SECONDS, option_greeks
from services.sandbox.options import MarketOptions
from services.sandbox.ports import (
    BrokerName,
    ChangedOrder,
    Greeks,
    NewOrder,
    Reading,
    RequiredMargins,
    SandboxHolding,
    SandboxInstrument,
    SandboxMargins,
    SandboxOrder,
    SandboxPosition,
    StandingTrigger,
    Token,
    TokenProblem,
    TriggerLeg,
)
from services.sandbox.updates import Updates
from tradebus.contracts.records import Records
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.rng import seed_for
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.trading.orders import Product

_TURN_SECONDS = 10  # of an open market, between two turns of others


def starting_prices(seed: int) -> Mapping[str, int]:
    """Where each underlying of the table begins, in paise."""
    found = {}
    for one in underlyings().every:
        draw = np.random.default_rng(seed_for(seed, "level", one.name)).standard_normal()
        found[one.name] = max(100, round(one.price_rupees * 100 * float(np.exp(0.02 * np.clip(draw, -2, 2)))))
    return found


class SandboxExchange:
    """See `ports.Exchange` for what each method promises."""

    def __init__(
        self,
        options: MarketOptions,
        *,
        instruments: Sequence[SandboxInstrument],
        processes: Sequence[Process],
        wall_ns: Callable[[], int] = monotonic_ns,
        paths: Mapping[str, ValuePath] | None = None,
    ) -> None:
        self.options = options
        self._instruments = tuple(instruments)
        self._directory = InstrumentDirectory(self._instruments)
        self._logins = TokenRegister(seed=options.seed)
        self._updates = Updates()
        self._moving = asyncio.Lock()
        self.floor = Floor(
            self._instruments, processes, options, wall_ns=wall_ns,
            order_changed=self._updates.order_changed, quotes_changed=self._quotes_changed, paths=paths,
        )  # fmt: skip
        market = self.floor.market
        self._read_only: Records = market.quotes.view()
        self._read_only.flags.writeable = False
        self._views = Views(self._instruments, market.quotes, self.floor.margins, self.floor.order_entry.limit_of)
        self._past = Past(self._instruments, market.shape, market.processes, seed=options.seed)
        self._past.set_anchor(self.floor.today.day, market.quotes["previous_close_paise"])

    def _quotes_changed(self, which: Ints) -> None:
        if self._updates.quotes_wanted:
            batch: Records = self.floor.market.quotes[which]
            batch.flags.writeable = False
            self._updates.quotes_changed(batch)

    # time and reference

    @property
    def now_ns(self) -> int:
        return self.floor.clock.now_ns()

    def advance(self, seconds: float) -> None:
        """Moves the market by so many market seconds, in steps."""
        self.floor.advance_to(self.floor.clock.step_at_ns + int(seconds * NANOSECONDS_PER_SECOND))

    async def advance_in_turns(self, seconds: float) -> None:
        """The same, letting others have their turn on the way: a day takes minutes. Several calls follow each other."""
        async with self._moving:
            clock, turn_ns = self.floor.clock, _TURN_SECONDS * NANOSECONDS_PER_SECOND
            until_ns = clock.step_at_ns + int(seconds * NANOSECONDS_PER_SECOND)
            while clock.step_at_ns < until_ns:
                self.floor.advance_to(min(until_ns, self.floor.next_open_ns() or clock.step_at_ns + turn_ns))
                await asyncio.sleep(0)

    @property
    def instruments(self) -> Sequence[SandboxInstrument]:
        return self._instruments

    @property
    def quotes(self) -> Records:
        return self._read_only

    def price_band_paise(self, instrument: int) -> tuple[int, int]:
        """The day's lowest and highest allowed price."""
        return int(self.floor.market.lower[instrument]), int(self.floor.market.upper[instrument])

    def find(self, *, exchange: str, symbol: str) -> SandboxInstrument | None:
        return self._directory.find(exchange=exchange, symbol=symbol)

    def by_exchange_token(self, segment: str, exchange_token: int) -> SandboxInstrument | None:
        return self._directory.by_exchange_token(segment, exchange_token)

    def by_upstox_key(self, key: str) -> SandboxInstrument | None:
        return self._directory.by_upstox_key(key)

    def by_kite_token(self, token: int) -> SandboxInstrument | None:
        return self._directory.by_kite_token(token)

    def by_key(self, key: str) -> SandboxInstrument | None:
        """By the text of its InstrumentKey."""
        return self._directory.by_key(key)

    # logins

    def authorise(self, broker: BrokerName, token: str | None) -> Token | TokenProblem:
        return self._logins.authorise(broker, token, self.now_ns)

    def login(self, broker: BrokerName, account: str) -> Token:
        self.floor.account(account)
        return self._logins.login(broker, account, self.now_ns)

    def log_out(self, token: str) -> None:
        self._logins.log_out(token)

    # orders

    def place(self, account: str, order: NewOrder) -> SandboxOrder:
        return self.floor.order_entry.place(account, order)

    def modify(self, account: str, order_id: str, change: ChangedOrder) -> SandboxOrder:
        return self.floor.order_entry.modify(account, order_id, change)

    def cancel(self, account: str, order_id: str) -> SandboxOrder:
        return self.floor.order_entry.cancel(account, order_id)

    def order(self, account: str, order_id: str) -> SandboxOrder:
        return self.floor.order_entry.order(account, order_id)

    def orders(self, account: str) -> Sequence[SandboxOrder]:
        return tuple(order.snapshot() for order in self.floor.account(account).orders.values())

    def place_trigger(
        self, account: str, source: BrokerName, instrument: int, legs: Sequence[TriggerLeg]
    ) -> StandingTrigger:
        return self.floor.triggers.place(account, source, instrument, legs)

    def modify_trigger(self, account: str, trigger_id: str, legs: Sequence[TriggerLeg]) -> StandingTrigger:
        return self.floor.triggers.modify(account, trigger_id, legs)

    def cancel_trigger(self, account: str, trigger_id: str) -> StandingTrigger:
        return self.floor.triggers.cancel(account, trigger_id)

    def triggers(self, account: str) -> Sequence[StandingTrigger]:
        return self.floor.triggers.of(account)

    def set_kill_switch(self, account: str, *, engaged: bool) -> None:
        self.floor.account(account).killed = engaged

    def kill_switch(self, account: str) -> bool:
        return self.floor.account(account).killed

    def exit_all(self, account: str, source: BrokerName) -> Sequence[SandboxOrder]:
        return self.floor.day_end.exit_all(self.floor.account(account), source)

    # the account

    def positions(self, account: str) -> Sequence[SandboxPosition]:
        return self._views.positions(self.floor.account(account))

    def convert_position(
        self, account: str, instrument: int, *, from_product: Product, to_product: Product, quantity: int
    ) -> None:
        self._views.convert(
            self.floor.account(account), instrument, from_product=from_product, to_product=to_product, quantity=quantity
        )

    def holdings(self, account: str) -> Sequence[SandboxHolding]:
        return self._views.holdings(self.floor.account(account))

    def margins(self, account: str) -> SandboxMargins:
        return self._views.margins(self.floor.account(account))

    def required_margins(self, orders: Sequence[NewOrder]) -> RequiredMargins:
        return self._views.required(orders)

    def set_cash(self, account: str, paise: int) -> None:
        """An account's settled cash, for tests and the admin address."""
        self.floor.account(account).cash_paise = paise

    # history, greeks

    def history(self, instrument: int, *, timeframe_seconds: int, from_ns: int, to_ns: int) -> Records:
        return self._past.candles(
            instrument, timeframe_seconds=timeframe_seconds, from_ns=from_ns, to_ns=min(to_ns, self.now_ns),
            recorded=self.floor.recorder,
        )  # fmt: skip

    def greeks(self, instrument: int) -> Greeks | None:
        market = self.floor.market
        shape, processes = market.shape, market.processes
        if shape.kind[instrument] != ListingKind.OPTION:
            return None
        one = np.array([instrument])
        process = shape.process[one]
        years = np.maximum(shape.expiry_ns[one] - self.now_ns, 0) / NANOSECONDS_PER_SECOND / YEAR_SECONDS
        forward = processes.value[process] * np.exp(RATE * years) * (1.0 + processes.basis[process])
        volatility = market.volatility_of(one, forward, years)
        delta, gamma, theta, vega = option_greeks(
            forward / 100, shape.strike[one] / 100, years, volatility, shape.is_call[one]
        )
        return Greeks(*(float(part[0]) for part in (volatility, delta, gamma, theta, vega)))

    # what happens

    def listen_orders(self, account: str) -> Reading[SandboxOrder]:
        return self._updates.listen_orders(account)

    def listen_quotes(self) -> Reading[Records]:
        return self._updates.listen_quotes()

    def unlisten(self, queue: Reading[SandboxOrder] | Reading[Records]) -> None:
        self._updates.unlisten(queue)

    # what tests and the admin address may do to the market

    def shock(self, instrument: int, share: float) -> None:
        """Moves the instrument's underlying by `share` of its value at once; everything that hangs on it is quoted
        anew and orders meet the new quotes."""
        market = self.floor.market
        process = int(market.shape.process[instrument])
        market.processes.shock(process, share)
        which = np.flatnonzero((market.shape.process == process) & ~market.halted)
        self.floor.show(which)

    def halt(self, instrument: int, *, halted: bool) -> None:
        """Stops or resumes trading in one instrument."""
        self.floor.market.halted[instrument] = halted


def generated_exchange(options: MarketOptions, *, wall_ns: Callable[[], int] = monotonic_ns) -> SandboxExchange:
    """An exchange with a generated listing and market."""
    prices = starting_prices(options.seed)
    listing = generate_listing(ist_date(options.start_ns), instruments=options.instruments, price_paise=prices)
    processes = [process_of(one, float(prices[one.name])) for one in underlyings().every]
    return SandboxExchange(options, instruments=listing, processes=processes, wall_ns=wall_ns)
