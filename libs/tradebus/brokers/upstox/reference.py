"""Upstox's reference data behind the ReferenceData port."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog

from tradebus.brokers.common.replies.bands import price_band
from tradebus.brokers.common.replies.candles import Sifted, joined, sound
from tradebus.brokers.common.replies.rows import Unreadable, row_of
from tradebus.brokers.errors import BrokerError, Malformed, Refused
from tradebus.brokers.reference import ListedInstrument, OptionChain, PriceBand
from tradebus.brokers.upstox.chain import chain_of, expiries_of
from tradebus.brokers.upstox.client import API_VERSION, UpstoxClient, UpstoxSdk
from tradebus.brokers.upstox.history import candles_of, interval_of, spans
from tradebus.brokers.upstox.instruments import freeze_quantities, parse_instruments
from tradebus.brokers.upstox.quotes import write_quote
from tradebus.brokers.upstox.settings import BROKER
from tradebus.contracts.records import QUOTE, Records
from tradebus.kernel.clock import Clock
from tradebus.kernel.time import ist_date

QUOTES_A_CALL = 500
_EXCHANGES = ("NSE", "BSE")
_log = structlog.get_logger()


class UpstoxReference:
    """Instruments, candles, quotes, option chains. Raises BrokerError for what Upstox or the network does."""

    def __init__(self, client: UpstoxClient, *, clock: Clock | None = None) -> None:
        self._client, self._clock = client, clock or client.timers

    async def instruments(self) -> Sequence[ListedInstrument]:
        """NSE's and BSE's CSV dumps, which have the exchange's symbols, with the freeze quantities of the JSON ones.

        Without the latter, freeze quantities are unknown and the rest is as good.
        """
        found: list[ListedInstrument] = []
        for exchange in _EXCHANGES:
            dump = f"{self._client.settings.endpoints.instruments}/{exchange}"
            listed, left_out = await self._client.fetch("instruments", f"{dump}.csv.gz", parse_instruments)
            if left_out:
                _log.warning("upstox: rows of the instrument dump left out", exchange=exchange, rows=left_out)
            try:
                freeze = await self._client.fetch("freeze quantities", f"{dump}.json.gz", freeze_quantities)
            except BrokerError as error:
                _log.warning("upstox: no freeze quantities", exchange=exchange, reason=str(error))
                freeze = {}
            found += [replace(each, freeze_quantity=freeze.get(each.token)) for each in listed]
        return found

    async def history(
        self, instrument: ListedInstrument, *, timeframe_seconds: int, from_ns: int, to_ns: int
    ) -> Records:
        """As the port says. Raises InvalidInput for a timeframe that Upstox does not have."""
        unit, interval, days = interval_of(timeframe_seconds)
        if from_ns >= to_ns:
            return joined([], from_ns=from_ns, to_ns=to_ns)
        parts = [
            await self._candles(instrument, unit, interval, first, last, timeframe_seconds)
            for first, last in spans(from_ns=from_ns, to_ns=to_ns, days=days)
        ]
        newest_ns = max((int(part.candles["ts_open_ns"][-1]) for part in parts if len(part.candles)), default=0)
        if ist_date(newest_ns) < ist_date(to_ns - 1):  # it may be the day under way, which the history leaves out
            parts.append(await self._today(instrument, unit, interval, timeframe_seconds))
        kept = sound(parts, broker=BROKER, what=f"history of {instrument.key}")
        return joined(kept, from_ns=from_ns, to_ns=to_ns)

    async def quotes(self, instruments: Sequence[ListedInstrument]) -> Records:
        """Raises BrokerError, also where no quote that came can be read or is of what was asked for."""
        records = np.zeros(len(instruments), QUOTE)
        known = np.zeros(len(instruments), np.bool_)
        odd = ""
        for start in range(0, len(instruments), QUOTES_A_CALL):
            places = {
                each.token: start + place for place, each in enumerate(instruments[start : start + QUOTES_A_CALL])
            }
            found = await self._read_quotes(places)
            for quote in found.values():
                odd = self._take(records, known, places, quote) or odd
        if odd and not known.any():
            raise Malformed(BROKER, odd)
        return records[known]

    async def price_bands(self, instruments: Sequence[ListedInstrument]) -> Mapping[int, PriceBand]:
        """Out of its quotes. Raises BrokerError."""
        bands = {}
        for start in range(0, len(instruments), QUOTES_A_CALL):
            places = {
                each.token: start + place for place, each in enumerate(instruments[start : start + QUOTES_A_CALL])
            }
            for quote in (await self._read_quotes(places)).values():
                band = price_band(quote)
                place = places.get(str(quote.get("instrument_token"))) if band is not None else None
                if band is not None and place is not None:
                    bands[place] = band
        return bands

    async def _read_quotes(self, tokens: Iterable[str]) -> Mapping[str, Any]:
        return await self._client.read_as(
            "quotes", partial(_full_quotes, ",".join(tokens)), lambda data: row_of(data, what="quotes")
        )

    async def expiries(self, underlying: ListedInstrument) -> Sequence[date]:
        """Of its options."""
        return await self._client.read_as(
            "option contracts",
            lambda sdk, raw: sdk.api("OptionsApi").get_option_contracts(underlying.token, **raw),
            partial(expiries_of, underlying=underlying),
        )

    async def option_chain(self, underlying: ListedInstrument, expiry: date) -> OptionChain:
        """Raises Refused where the underlying has no options of that expiry."""
        chain = await self._client.read_as(
            "option chain",
            lambda sdk, raw: sdk.api("OptionsApi").get_put_call_option_chain(
                underlying.token, expiry.isoformat(), **raw
            ),
            lambda data: chain_of(data, underlying=underlying, expiry=expiry),
        )
        if not chain.rows:
            raise Refused(BROKER, f"option chain: {underlying.key} has no options that expire on {expiry}")
        return chain

    async def _candles(
        self, instrument: ListedInstrument, unit: str, interval: int, first: date, last: date, seconds: int
    ) -> Sifted:
        return await self._client.read_as(
            "history",
            lambda sdk, raw: sdk.api("HistoryV3Api").get_historical_candle_data1(
                instrument.token, unit, str(interval), last.isoformat(), first.isoformat(), **raw
            ),
            lambda data: candles_of(data, timeframe_seconds=seconds),
        )

    async def _today(self, instrument: ListedInstrument, unit: str, interval: int, seconds: int) -> Sifted:
        return await self._client.read_as(
            "candles of today",
            lambda sdk, raw: sdk.api("HistoryV3Api").get_intra_day_candle_data(
                instrument.token, unit, str(interval), **raw
            ),
            lambda data: candles_of(data, timeframe_seconds=seconds),
        )

    def _take(self, records: Records, known: npt.NDArray[np.bool_], places: dict[str, int], quote: object) -> str:
        """Writes one quote to the place of the instrument that it names. Returns what is wrong with it, which is said;
        such a one is none."""
        try:
            row = row_of(quote, what="quote")
            token = row.get("instrument_token")
            place = places.get(str(token))
            if place is None:
                raise Unreadable(f"instrument_token: {token!r:.40} is none that was asked for")
            records[place], known[place] = 0, False
            write_quote(records[place], row, received_ns=self._clock.now_ns())
            records[place]["instrument"] = place
            known[place] = True
        except Unreadable as error:
            reason: str = self._client.redactor.text(f"quotes: {error}")
            _log.error("upstox: a quote left out", reason=reason)
            return reason
        return ""


def _full_quotes(keys: str, sdk: UpstoxSdk, raw: Mapping[str, Any]) -> Any:
    """This one API calls instrument keys symbols."""
    return sdk.api("MarketQuoteApi").get_full_market_quote(keys, API_VERSION, **raw)
