"""The trading floor: market, orders and accounts, moved through time together.

    advance ─► day's events that are due ─► Market.step ─► matching, triggers ─► recorder, listener

Property (tested): same seed, options and calls at the same market times give the same quotes, orders and trades.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import numpy as np

from services.sandbox.domain.accounts.account import ClientAccount
from services.sandbox.domain.accounts.margin import MarginRates
from services.sandbox.domain.day.day_end import DayEnd
from services.sandbox.domain.day.events import DayEvent, DayEventKind, span_of
from services.sandbox.domain.day.market_clock import MarketClock
from services.sandbox.domain.day.trading_day import TradingDay
from services.sandbox.domain.instruments.shape import Ints, ListingKind, Process, shape_of
from services.sandbox.domain.orders.checks import Checks
from services.sandbox.domain.orders.matching_engine import MatchingEngine
from services.sandbox.domain.orders.order_entry import OrderEntry
from services.sandbox.domain.orders.triggers import Triggers
from services.sandbox.domain.prices.bars import MINUTE_NS, Recorder
from services.sandbox.domain.prices.market import SandboxMarket
from services.sandbox.domain.prices.paths import ValuePath
from services.sandbox.domain.prices.quote_rate import QuoteRate
from services.sandbox.options import MarketOptions
from services.sandbox.ports import SandboxInstrument, SandboxOrder
from tradebus.calendar import session_for
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date

_MOVE_NS_MAX = 600 * NANOSECONDS_PER_SECOND  # one step never moves prices by more time than this


class Floor:
    """`order_changed` and `quotes_changed` hear what happens; `quotes_wanted` says whether anybody hears the latter."""

    def __init__(
        self,
        instruments: Sequence[SandboxInstrument],
        processes: Sequence[Process],
        options: MarketOptions,
        *,
        wall_ns: Callable[[], int],
        order_changed: Callable[[SandboxOrder], None],
        quotes_changed: Callable[[Ints], None],
        paths: Mapping[str, ValuePath] | None = None,
    ) -> None:
        self.instruments, self._options, self._quotes_changed = instruments, options, quotes_changed
        self.clock = MarketClock(options.start_ns, step_ns=options.step_ns, speed=options.speed, wall_ns=wall_ns)
        self.accounts: dict[str, ClientAccount] = {}
        span = span_of(ist_date(options.start_ns))
        first_ns = min(options.start_ns, span[0]) if span else options.start_ns
        shape = shape_of(instruments, processes)
        self.today = TradingDay(ist_date(options.start_ns), shape.market_class)
        self.market = SandboxMarket(shape, processes, seed=options.seed, now_ns=first_ns)
        self.market.processes.follow(paths or {})
        self.margins = MarginRates(instruments)
        checks, now = Checks(instruments, self.market, self.margins), self.clock.now_ns
        self.matching = MatchingEngine(
            instruments, self.market, checks, now=now, account_of=self.account, changed=order_changed
        )
        self.order_entry = OrderEntry(instruments, checks, self.matching, now=now, account_of=self.account)
        self.triggers = Triggers(
            instruments, now=now, last_paise=self.market.last_paise, place=self.order_entry.place
        )  # fmt: skip
        self.recorder = Recorder(len(instruments), days_kept=options.days_kept)
        self.day_end = DayEnd(
            instruments, self.order_entry, self.matching, self.market, accounts=lambda: list(self.accounts.values()),
            now=now,
        )  # fmt: skip
        self._quote_rate = QuoteRate(shape.activity, per_second=options.ticks_per_second)
        self.ticks = 0
        self._begin_day(self.today.day)
        self.today.pass_over(options.start_ns)
        self._warm(first_ns, options.start_ns)

    def account(self, name: str) -> ClientAccount:
        """The account; made with the opening cash where it is new."""
        found = self.accounts.get(name)
        if found is None:
            found = self.accounts[name] = ClientAccount(
                name, self._options.opening_paise, orders_kept=self._options.orders_kept
            )
        return found

    # time

    def advance_to(self, to_ns: int) -> None:
        """Steps until the clock stands at `to_ns`. While nothing trades, one step goes to the next event."""
        while self.clock.step_at_ns < to_ns:
            self._step(min(self._next_step_ns(), to_ns))

    def _next_step_ns(self) -> int:
        """The next instant of the steps' grid, or the next event where that comes first or nothing trades."""
        at_ns, step_ns = self.clock.step_at_ns, self.clock.step_ns
        event_ns = self.today.next_event_ns()
        due_ns = at_ns + step_ns if event_ns is None else event_ns
        return min(due_ns, at_ns // step_ns * step_ns + step_ns) if self.today.any_open(at_ns) else due_ns

    def next_open_ns(self) -> int | None:
        """When trading begins next; None while it is going on."""
        return self.today.next_open_ns(self.clock.step_at_ns)

    def _step(self, to_ns: int) -> None:
        """Moves the market to `to_ns`, which no event lies before, and then lets happen what is due."""
        from_ns = self.clock.step_at_ns
        self.clock.step_to(to_ns)
        self.order_entry.end_timed(to_ns)
        which = self._move(from_ns, to_ns)
        if len(which):
            self.matching.on_quotes(which)
            self.triggers.on_quotes(which, self.market.quotes["price_paise"][which])
        self._tell(which)
        self._set_trading(to_ns)
        while (event := self.today.take_due(to_ns)) is not None:
            self._happen(event)

    def _tell(self, which: Ints) -> None:
        """The listener, of these and of what the accounts have traded since."""
        if self.matching.traded:
            which = np.union1d(which, np.array(sorted(self.matching.traded), np.int64))
            self.matching.traded.clear()
        if len(which):
            self._quotes_changed(which)

    def _move(self, from_ns: int, to_ns: int) -> Ints:
        """Moves the market where it is open. Returns whose quotes changed."""
        self._set_trading(to_ns - 1)
        trading = self.matching.trading | ((self.market.shape.kind == ListingKind.INDEX) & self.today.open(to_ns - 1))
        if not trading.any():
            return np.zeros(0, np.int64)
        seconds = min(to_ns - from_ns, _MOVE_NS_MAX) / NANOSECONDS_PER_SECOND
        which = self.market.step(
            to_ns,
            seconds,
            trading=trading,
            chance=self._quote_rate.chances(to_ns - from_ns),
            fraction=self.today.fraction(to_ns),
        )
        self.recorder.record(which, self.market.quotes, to_ns)
        self.ticks += len(which)
        return which

    def _set_trading(self, at_ns: int) -> None:
        shape = self.market.shape
        alive = (shape.expiry_ns == 0) | (shape.expiry_ns > at_ns)
        self.matching.trading = self.today.open(at_ns) & alive & (shape.kind != ListingKind.INDEX)

    # the day

    def _begin_day(self, day: date) -> None:
        self.today.begin(day)
        span = span_of(day)
        if span is not None:
            self.recorder.begin_day(day, *span)
        self.margins.begin_day(self._margin_reference())

    def _margin_reference(self) -> Ints:
        shape, close = self.market.shape, self.market.quotes["previous_close_paise"]
        spot = np.rint(self.market.processes.value[shape.process]).astype(np.int64)
        return np.where(shape.kind == ListingKind.OPTION, spot, close)

    def _happen(self, event: DayEvent) -> None:
        market_class = event.market_class
        if event.event is DayEventKind.ROLLOVER:
            self._roll(event.at_ns)
            return
        assert market_class is not None
        match event.event:
            case DayEventKind.OPEN:
                self.order_entry.release_after_market(market_class)
            case DayEventKind.AUCTION_BEGINS:
                session = session_for(self.today.day, market_class)
                assert session is not None
                self.day_end.begin_auction(session)
            case DayEventKind.RANGE_RESET:
                assert event.market is not None
                self.day_end.reset_range(event.market)
            case DayEventKind.SQUARE_OFF:
                self.day_end.square_off(market_class, event.market)
            case DayEventKind.AUCTION:
                for instrument in self.instruments:
                    if instrument.market_class == market_class:
                        self.matching.auction(instrument.index)
            case DayEventKind.CLOSE:
                self.day_end.end_day_orders(market_class, event.market)
            case DayEventKind.EXPIRY:
                assert event.market is not None
                self.day_end.expire(event.market)

    def _roll(self, at_ns: int) -> None:
        self.day_end.roll()
        traded = span_of(self.today.day) is not None
        self._begin_day(ist_date(at_ns))
        if traded:
            self.market.begin_day(at_ns)
            self.market.processes.night()
            self.margins.begin_day(self._margin_reference())
        self.triggers.expire()

    def _warm(self, first_ns: int, start_ns: int) -> None:
        """Plays the part of the day that was over before the start, in steps of a minute."""
        market, certain = self.market, np.full(len(self.instruments), 2.0)
        at_ns = first_ns
        while at_ns < start_ns:
            from_ns, at_ns = at_ns, min(at_ns + MINUTE_NS, start_ns)
            alive = (market.shape.expiry_ns == 0) | (market.shape.expiry_ns >= at_ns)
            trading = self.today.open(at_ns - 1) & alive
            if trading.any():
                before = market.quotes["price_paise"].copy()
                seconds = (at_ns - from_ns) / NANOSECONDS_PER_SECOND
                which = market.step(
                    at_ns, seconds, trading=trading, chance=certain, fraction=self.today.fraction(at_ns)
                )
                came_from = before[which] if from_ns > first_ns else None
                self.recorder.record(which, market.quotes, at_ns, came_from=came_from)
        self._set_trading(start_ns)

    def show(self, which: Ints) -> None:
        """Quotes these anew at once, lets orders meet the quotes, tells the listener."""
        self.market.requote(which, self.clock.now_ns())
        self.recorder.record(which, self.market.quotes, self.clock.now_ns())
        self.matching.on_quotes(which)
        self.triggers.on_quotes(which, self.market.quotes["price_paise"][which])
        self._tell(which)
