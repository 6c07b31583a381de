"""What can be traded at Kite, and what it cost: instruments, history, quotes, and option chains put together from them.

The chain is ours: Kite has none. It gives neither greeks nor the open interest of the day before, so those are None, 0.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import structlog

from tradebus.brokers.common.replies.bands import price_band
from tradebus.brokers.common.replies.candles import Sifted, joined, sound
from tradebus.brokers.common.replies.rows import Unreadable, row_of
from tradebus.brokers.errors import Malformed, Refused
from tradebus.brokers.kite.client import KiteClient, get
from tradebus.brokers.kite.history import candles_of, interval_of, spans
from tradebus.brokers.kite.instruments import parse_instruments
from tradebus.brokers.kite.quotes import write_quote
from tradebus.brokers.kite.settings import BROKER
from tradebus.brokers.reference import ChainRow, ListedInstrument, OptionChain, OptionSide, PriceBand
from tradebus.contracts.instrument_key import Right, Segment
from tradebus.contracts.records import QUOTE, Records
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date

_log = structlog.get_logger()
QUOTES_PER_CALL = 500
_EXCHANGES = ("NSE", "NFO", "BSE", "BFO")


class KiteReference:
    """The master is fetched once per Indian day; everything else is asked anew."""

    def __init__(self, client: KiteClient, *, clock: Clock | None = None) -> None:
        self._client, self._clock = client, clock or client.timers
        self._master: tuple[date, list[ListedInstrument]] | None = None

    async def instruments(self) -> Sequence[ListedInstrument]:
        """Of NSE, NFO, BSE and BFO, indices included. Raises BrokerError."""
        listed: list[ListedInstrument] = []
        for exchange in _EXCHANGES:
            found, left_out = await self._client.read(f"instruments of {exchange}", partial(_dump, exchange=exchange))
            if left_out:
                _log.warning("kite: rows of the instrument dump left out", exchange=exchange, rows=left_out)
            listed += found
        self._master = ist_date(self._clock.now_ns()), listed
        return listed

    async def history(
        self, instrument: ListedInstrument, *, timeframe_seconds: int, from_ns: int, to_ns: int
    ) -> Records:
        """Raises InvalidInput for a timeframe Kite has not, BrokerError for the rest."""
        word, span_ns = interval_of(timeframe_seconds)
        where = {"instrument_token": instrument.token, "interval": word}
        parts: list[Sifted] = []
        for start, end in spans(from_ns=from_ns, to_ns=to_ns, span_ns=span_ns):
            params = {"from": start, "to": end, "interval": word, "continuous": 0, "oi": 1}
            data = await self._client.read(
                f"history of {instrument.key}",
                partial(get, route="market.historical", url_args=where, params=params),
                pacer=self._client.history_pacer,
            )
            try:
                parts.append(candles_of(data, timeframe_seconds=timeframe_seconds))
            except Unreadable as error:
                raise Malformed(BROKER, f"history of {instrument.key}: {error}") from None
        kept = sound(parts, broker=BROKER, what=f"history of {instrument.key}")
        return joined(kept, from_ns=from_ns, to_ns=to_ns)

    async def quotes(self, instruments: Sequence[ListedInstrument]) -> Records:
        """Raises BrokerError, also where no quote that came can be read. An instrument that Kite leaves out has no
        quote, and neither has one whose quote is of another instrument or cannot be read, which is said."""
        quoted, odd = await self._quotes_of(instruments)
        if odd and not len(quoted):
            raise Malformed(BROKER, next(iter(odd.values())))
        return quoted

    async def price_bands(self, instruments: Sequence[ListedInstrument]) -> Mapping[int, PriceBand]:
        """Out of its quotes. Raises BrokerError."""
        bands = {}
        for first in range(0, len(instruments), QUOTES_PER_CALL):
            some = instruments[first : first + QUOTES_PER_CALL]
            data = await self._read_quotes(some)
            for number, listing in enumerate(some, start=first):
                quote = data.get(_quote_name(listing))
                band = price_band(quote)
                if isinstance(quote, dict) and str(quote.get("instrument_token", listing.token)) != listing.token:
                    band = None  # another instrument's, under this one's name
                if band is not None:
                    bands[number] = band
        return bands

    async def _read_quotes(self, some: Sequence[ListedInstrument]) -> dict[str, Any]:
        return await self._client.read(
            f"quotes of {len(some)} instruments", partial(_quotes, instruments=some), pacer=self._client.quotes_pacer
        )

    async def _quotes_of(self, instruments: Sequence[ListedInstrument]) -> tuple[Records, dict[int, str]]:
        """The quotes, and what is wrong with those that came and are none, by number."""
        records: Records = np.zeros(len(instruments), QUOTE)
        has_quote = np.zeros(len(instruments), np.bool_)
        odd: dict[int, str] = {}
        for first in range(0, len(instruments), QUOTES_PER_CALL):
            some = instruments[first : first + QUOTES_PER_CALL]
            data = await self._read_quotes(some)
            for number, listing in enumerate(some, start=first):
                try:
                    has_quote[number] = self._write(records[number], data, listing)
                except Unreadable as error:
                    odd[number] = f"quote of {listing.key}: {error}"
                    _log.error("kite: a quote left out", reason=odd[number])
                records[number]["instrument"] = number
        return records[has_quote], odd

    async def expiries(self, underlying: ListedInstrument) -> Sequence[date]:
        """Of the underlying's options that are listed, ascending. Raises BrokerError."""
        return sorted({option.key.expiry for option in await self._options(underlying) if option.key.expiry})

    async def option_chain(self, underlying: ListedInstrument, expiry: date) -> OptionChain:
        """Raises BrokerError; Refused where no option of that expiry is listed."""
        options = [option for option in await self._options(underlying) if option.key.expiry == expiry]
        if not options:
            raise Refused(BROKER, f"option chain: no options of {underlying.key} expire on {expiry.isoformat()}")
        quotes, odd = await self._quotes_of([underlying, *options])
        by_number = {int(quote["instrument"]): quote for quote in quotes}
        if 0 not in by_number:
            raise Malformed(BROKER, f"option chain: {odd.get(0) or f'no quote of {underlying.key} itself'}")
        sides: dict[int, dict[Right, OptionSide]] = {}
        for number, option in enumerate(options, start=1):
            if option.key.strike_paise is not None and option.key.right is not None and number not in odd:
                side = _side(option, by_number.get(number))
                sides.setdefault(option.key.strike_paise, {})[option.key.right] = side
        rows = [ChainRow(strike, both.get(Right.CALL), both.get(Right.PUT)) for strike, both in sorted(sides.items())]
        return OptionChain(underlying.key, expiry, int(by_number[0]["price_paise"]), tuple(rows))

    async def _options(self, underlying: ListedInstrument) -> list[ListedInstrument]:
        if underlying.key.segment not in (Segment.NSE, Segment.BSE, Segment.INDEX):
            raise InvalidInput(f"underlying: {underlying.key} is a derivative itself; name its index or share")
        today = ist_date(self._clock.now_ns())
        if self._master is None or self._master[0] != today:
            await self.instruments()
        master = self._master[1] if self._master is not None else []
        # Options on what lists at NSE list at NFO, those of BSE at BFO.
        return [
            option for option in master
            if option.key.is_option and option.key.name == underlying.key.name
            and option.broker_segment[:1] == underlying.broker_segment[:1]
        ]  # fmt: skip

    def _write(self, record: Any, data: dict[str, Any], listing: ListedInstrument) -> bool:
        """Whether there is a quote. Raises Unreadable for one that is of another instrument or cannot be read."""
        quote = data.get(_quote_name(listing))
        if quote is None:
            return False
        row = row_of(quote, what="quote")
        token = row.get("instrument_token")  # a name can be another instrument's tomorrow, a token is one's own
        if token is not None and str(token) != listing.token:
            raise Unreadable(f"instrument_token: {token!r:.30} is another instrument's, {listing.token} was asked for")
        write_quote(record, row, received_ns=self._clock.now_ns())
        return True


def _dump(sdk: Any, exchange: str) -> tuple[list[ListedInstrument], int]:
    body = get(sdk, "market.instruments", url_args={"exchange": exchange})
    if not isinstance(body, bytes):
        raise Malformed(BROKER, f"instruments of {exchange}: no CSV")
    return parse_instruments(body)


def _quotes(sdk: Any, instruments: Sequence[ListedInstrument]) -> dict[str, Any]:
    data = get(sdk, "market.quote", params={"i": [_quote_name(listing) for listing in instruments]})
    if not isinstance(data, dict):
        raise Malformed(BROKER, "quotes: no object")
    return data


def _quote_name(listing: ListedInstrument) -> str:
    return f"{listing.broker_segment}:{listing.symbol}"


def _side(option: ListedInstrument, quote: Any) -> OptionSide:
    if quote is None:  # listed, and nothing has happened in it
        return OptionSide(option.token, 0, 0, 0, 0, 0, 0, 0, 0)
    return OptionSide(
        token=option.token, price_paise=int(quote["price_paise"]), bid_paise=int(quote["bid_paise"][0]),
        ask_paise=int(quote["ask_paise"][0]), bid_quantity=int(quote["bid_quantity"][0]),
        ask_quantity=int(quote["ask_quantity"][0]), volume=int(quote["volume_cumulative"]),
        open_interest=int(quote["open_interest"]), previous_open_interest=0,
    )  # fmt: skip
