"""Instruments, history, quotes and option chains of Dhan. Every method raises BrokerError and nothing else for what
Dhan or the network may do."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import structlog

from tradebus.brokers.common.replies.bands import price_band
from tradebus.brokers.common.replies.candles import Sifted, joined, sound, spans
from tradebus.brokers.dhan import history
from tradebus.brokers.dhan.client import DhanClient
from tradebus.brokers.dhan.failures import NothingThere
from tradebus.brokers.dhan.fields import mapping_of, text_or_none
from tradebus.brokers.dhan.master import parse_instruments
from tradebus.brokers.dhan.quotes import QUOTES_PER_CALL, chain_of, quotes_of
from tradebus.brokers.dhan.words import BROKER
from tradebus.brokers.errors import Malformed, Refused
from tradebus.brokers.reference import ListedInstrument, OptionChain, PriceBand
from tradebus.contracts.records import QUOTE, Records
from tradebus.kernel.clock import Clock

_log = structlog.get_logger()


class DhanReference:
    """`clock` stamps quotes that the exchange did not."""

    def __init__(self, client: DhanClient, *, clock: Clock | None = None) -> None:
        self._client, self._clock = client, clock or client.timers

    async def instruments(self) -> Sequence[ListedInstrument]:
        """The detailed list, some 50 MB, parsed on a thread."""
        url = self._client.settings.endpoints.master
        listed, left_out = await self._client.download("instruments", url, parse_instruments)
        if not listed:
            raise Malformed(BROKER, "instruments: the list has no row of a segment that tradebus knows")
        _log.info("dhan: instruments", listed=len(listed), rows_left_out=left_out)
        return listed

    async def history(
        self, instrument: ListedInstrument, *, timeframe_seconds: int, from_ns: int, to_ns: int
    ) -> Records:
        """Minute bars of 1, 5, 15, 25 and 60 minutes in calls of 90 days, and daily ones, which open at Indian
        midnight. Raises Refused for another timeframe: make it from a smaller one."""
        daily = timeframe_seconds == history.DAY_SECONDS
        if not daily and timeframe_seconds not in history.MINUTES:
            raise Refused(
                BROKER,
                f"history: no bars of {timeframe_seconds} s; Dhan has {', '.join(map(str, history.MINUTES))} and "
                f"{history.DAY_SECONDS}, make others from 60",
            )
        span_ns = history.DAILY_SPAN_NS if daily else history.INTRADAY_SPAN_NS
        parts = [
            await self._bars(instrument, timeframe_seconds, start_ns, end_ns)
            for start_ns, end_ns in spans(from_ns=from_ns, to_ns=to_ns, span_ns=span_ns)
        ]
        kept = sound(parts, broker=BROKER, what=f"history of {instrument.key}")
        return joined(kept, from_ns=from_ns, to_ns=to_ns)

    async def quotes(self, instruments: Sequence[ListedInstrument]) -> Records:
        """In calls of 1,000, one a second."""
        parts = [np.empty(0, QUOTE)]
        for first in range(0, len(instruments), QUOTES_PER_CALL):
            part = instruments[first : first + QUOTES_PER_CALL]
            body = await self._quotes(part)
            parts.append(quotes_of(body, part, first=first, received_ns=self._clock.now_ns()))
        return np.concatenate(parts)

    async def price_bands(self, instruments: Sequence[ListedInstrument]) -> Mapping[int, PriceBand]:
        """Out of its quotes."""
        bands: dict[int, PriceBand] = {}
        for first in range(0, len(instruments), QUOTES_PER_CALL):
            part = instruments[first : first + QUOTES_PER_CALL]
            by_segment = mapping_of("quotes", mapping_of("quotes", await self._quotes(part)).get("data"))
            for number, listing in enumerate(part, start=first):
                segment = by_segment.get(listing.broker_segment)
                band = price_band(segment.get(listing.token)) if isinstance(segment, dict) else None
                if band is not None:
                    bands[number] = band
        return bands

    async def expiries(self, underlying: ListedInstrument) -> Sequence[date]:
        body = await self._client.read(
            "expiries", lambda sdk: sdk.expiry_list(_number(underlying), underlying.broker_segment),
            pacer=self._client.chain_pacer,
        )  # fmt: skip
        days = mapping_of("expiries", body).get("data")
        if not isinstance(days, list):
            raise Malformed(BROKER, "expiries: data is no list of dates")
        found, odd = set(), []
        for day in days:
            try:
                found.add(date.fromisoformat(text_or_none(day) or ""))
            except ValueError as error:
                odd.append(str(error))
        if odd and not found:
            raise Malformed(BROKER, f"expiries: {odd[0]}")
        if odd:
            _log.error(
                "dhan: what is no date left out of expiries", of=str(underlying.key), rows=len(odd), first=odd[0]
            )
        return sorted(found)

    async def option_chain(self, underlying: ListedInstrument, expiry: date) -> OptionChain:
        """One call per three seconds."""
        body = await self._client.read(
            "option chain",
            lambda sdk: sdk.option_chain(_number(underlying), underlying.broker_segment, expiry.isoformat()),
            pacer=self._client.chain_pacer,
        )
        return chain_of(body, underlying, expiry)

    async def _quotes(self, part: Sequence[ListedInstrument]) -> object:
        wanted: dict[str, list[int]] = {}
        for listed in part:
            wanted.setdefault(listed.broker_segment, []).append(_number(listed))
        # A copy for each attempt: the SDK writes the client id into the very dictionary it is given.
        body: object = await self._client.read(
            "quotes", lambda sdk: sdk.quote_data(dict(wanted)), pacer=self._client.quotes_pacer
        )
        return body

    async def _bars(self, listed: ListedInstrument, timeframe_seconds: int, from_ns: int, to_ns: int) -> Sifted:
        word = history.instrument_word(listed.key)
        with_interest = listed.key.is_derivative
        if timeframe_seconds == history.DAY_SECONDS:
            first, last = history.day_texts(from_ns, to_ns)
            call = self._client.read(
                "history",
                lambda sdk: sdk.historical_daily_data(
                    listed.token, listed.broker_segment, word, first, last, oi=with_interest
                ),
                pacer=self._client.history_pacer,
            )
        else:
            first, last = history.intraday_text(from_ns), history.intraday_text(to_ns)
            call = self._client.read(
                "history",
                lambda sdk: sdk.intraday_minute_data(
                    listed.token, listed.broker_segment, word, first, last,
                    interval=history.MINUTES[timeframe_seconds], oi=with_interest,
                ),
                pacer=self._client.history_pacer,
            )  # fmt: skip
        try:
            return history.candles_of(await call, timeframe_seconds=timeframe_seconds)
        except NothingThere:
            return Sifted(joined([], from_ns=from_ns, to_ns=to_ns))


def _number(listed: ListedInstrument) -> int:
    """Raises Refused for what is no security id."""
    if not (listed.token.isascii() and listed.token.isdigit()):
        raise Refused(BROKER, f"{listed.symbol}: {listed.token[:20]!r} is no security id; load the master again")
    return int(listed.token)
