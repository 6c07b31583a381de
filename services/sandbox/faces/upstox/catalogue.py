"""What is listed, in Upstox's layouts: master dumps as CSV and JSON, option contracts, underlyings.

Tick sizes are rupees in the CSV and paise in the JSON, as at Upstox. Everything is made once per list of instruments.
"""

import csv
import gzip
import io
import json
from datetime import date, time
from functools import cached_property

from services.sandbox.faces.upstox.words import house_of, milliseconds, rupees, segment_of
from services.sandbox.ports import Exchange, SandboxInstrument
from tradebus.contracts.instrument_key import Segment
from tradebus.kernel.money import paise_to_rupees
from tradebus.kernel.time import ist_to_ns

CSV_COLUMNS = (
    "instrument_key", "exchange_token", "tradingsymbol", "name", "last_price", "expiry", "strike", "tick_size",
    "lot_size", "instrument_type", "option_type", "exchange",
)  # fmt: skip
_EXPIRY_TIME = time(23, 59, 59)


class Catalogue:
    """Over the exchange's list as it is now; a list of another length (a new day's) is read anew."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._listing = _Listing(exchange)

    @property
    def _now(self) -> "_Listing":
        if self._listing.stale(self._exchange):
            self._listing = _Listing(self._exchange)
        return self._listing

    def options(self, underlying: SandboxInstrument) -> list[SandboxInstrument]:
        """By expiry, strike and right."""
        return self._now.options.get(underlying.key.name, [])

    def underlying_of(self, contract: SandboxInstrument) -> SandboxInstrument | None:
        return self._now.underlyings.get(contract.key.name)

    def csv_gz(self, exchange: str) -> bytes | None:
        """The dump of NSE, BSE or complete; None for another name."""
        return self._now.dump(exchange, "csv")

    def json_gz(self, exchange: str) -> bytes | None:
        return self._now.dump(exchange, "json")

    def contract(self, instrument: SandboxInstrument) -> dict[str, object]:
        """One row of /v2/option/contract."""
        row = self._now.json_row(instrument)
        expiry = instrument.key.expiry
        return {**row, "expiry": expiry.isoformat() if expiry else None}


class _Listing:
    def __init__(self, exchange: Exchange) -> None:
        self._instruments = exchange.instruments
        self._count = len(exchange.instruments)
        self._exchange = exchange
        self._dumps: dict[tuple[str, str], bytes] = {}

    def stale(self, exchange: Exchange) -> bool:
        return exchange.instruments is not self._instruments or len(exchange.instruments) != self._count

    @cached_property
    def underlyings(self) -> dict[str, SandboxInstrument]:
        """By name: the index where there is one, else the share."""
        found = {item.key.name: item for item in self._instruments if item.key.segment is Segment.NSE}
        found |= {item.key.name: item for item in self._instruments if item.key.segment is Segment.INDEX}
        return found

    @cached_property
    def options(self) -> dict[str, list[SandboxInstrument]]:
        found: dict[str, list[SandboxInstrument]] = {}
        for item in self._instruments:
            if item.key.is_option:
                found.setdefault(item.key.name, []).append(item)
        for items in found.values():
            items.sort(key=lambda item: (item.key.expiry, item.key.strike_paise, item.key.right))
        return found

    @cached_property
    def expiries_by_month(self) -> dict[tuple[str, int, int], date]:
        """The last expiry of each name and month: the monthly one."""
        found: dict[tuple[str, int, int], date] = {}
        for item in self._instruments:
            expiry = item.key.expiry
            if expiry is not None:
                month = (item.key.name, expiry.year, expiry.month)
                found[month] = max(found.get(month, expiry), expiry)
        return found

    def dump(self, exchange: str, form: str) -> bytes | None:
        if exchange not in ("NSE", "BSE", "complete"):
            return None
        made = self._dumps.get((exchange, form))
        if made is None:
            wanted = [item for item in self._instruments if exchange in ("complete", house_of(item))]
            text = self._csv(wanted) if form == "csv" else json.dumps([self.json_row(item) for item in wanted])
            made = self._dumps[exchange, form] = gzip.compress(text.encode(), compresslevel=5, mtime=0)
        return made

    def _csv(self, wanted: list[SandboxInstrument]) -> str:
        out = io.StringIO()
        writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        writer.writerows(self._csv_row(item) for item in wanted)
        return out.getvalue()

    def _csv_row(self, item: SandboxInstrument) -> tuple[object, ...]:
        index = item.key.segment is Segment.INDEX
        strike = "" if not item.key.is_derivative else str(rupees(item.key.strike_paise or 0))
        return (
            item.upstox_key, item.exchange_token, item.key.name if index else item.symbol, self._name(item),
            rupees(int(self._exchange.quotes["price_paise"][item.index])),
            item.key.expiry.isoformat() if item.key.expiry else "", strike,
            "" if index else rupees(item.tick_size_paise), "" if index else item.lot_size,
            self._csv_type(item), self._option_type(item), segment_of(item),
        )  # fmt: skip

    def _name(self, item: SandboxInstrument) -> str:
        return item.upstox_key.partition("|")[2] if item.key.segment is Segment.INDEX else item.key.name

    def _csv_type(self, item: SandboxInstrument) -> str:
        if not item.key.is_derivative:
            return "INDEX" if item.key.segment is Segment.INDEX else "EQUITY"
        underlying = self.underlyings.get(item.key.name)
        on_index = underlying is None or underlying.key.segment is Segment.INDEX
        return f"{'OPT' if item.key.is_option else 'FUT'}{'IDX' if on_index else 'STK'}"

    def _option_type(self, item: SandboxInstrument) -> str:
        if item.key.segment is Segment.INDEX:
            return "INDEX"
        if item.key.right is not None:
            return item.key.right.value
        return "FF" if item.key.is_derivative else ""

    def json_row(self, item: SandboxInstrument) -> dict[str, object]:
        """One entry of the JSON dump. `tick_size` is in paise, `expiry` in milliseconds."""
        row: dict[str, object] = {
            "segment": segment_of(item), "name": self._name(item), "exchange": house_of(item),
            "instrument_key": item.upstox_key, "exchange_token": str(item.exchange_token),
            "trading_symbol": _json_symbol(item),
        }  # fmt: skip
        if item.key.segment is Segment.INDEX:
            return row | {"instrument_type": "INDEX"}
        row |= {
            "tick_size": float(item.tick_size_paise), "lot_size": item.lot_size, "qty_multiplier": 1.0,
            "freeze_quantity": float(item.freeze_quantity),
        }  # fmt: skip
        if item.key.expiry is None:
            return row | {
                "instrument_type": "EQ", "isin": item.isin, "short_name": item.symbol, "security_type": "NORMAL",
            }  # fmt: skip
        return row | self._contract_part(item, item.key.expiry)

    def _contract_part(self, item: SandboxInstrument, expiry: date) -> dict[str, object]:
        underlying = self.underlyings.get(item.key.name)
        kind = "INDEX" if underlying is None or underlying.key.segment is Segment.INDEX else "EQUITY"
        return {
            "instrument_type": item.key.right.value if item.key.right else "FUT",
            "expiry": milliseconds(ist_to_ns(expiry, _EXPIRY_TIME)),
            "weekly": expiry != self.expiries_by_month[item.key.name, expiry.year, expiry.month],
            "strike_price": rupees(item.key.strike_paise or 0), "minimum_lot": item.lot_size,
            "underlying_symbol": item.key.name, "asset_symbol": item.key.name,
            "underlying_key": underlying.upstox_key if underlying else "",
            "underlying_type": kind, "asset_type": kind,
        }  # fmt: skip


def _json_symbol(item: SandboxInstrument) -> str:
    """NIFTY 26000 CE 29 DEC 26, NIFTY FUT 29 DEC 26; the exchange's symbol for what does not expire."""
    if item.key.expiry is None:
        return item.key.name
    day = item.key.expiry.strftime("%d %b %y").upper()
    if item.key.right is None:
        return f"{item.key.name} FUT {day}"
    strike = f"{paise_to_rupees(item.key.strike_paise or 0):f}".removesuffix(".00")
    return f"{item.key.name} {strike} {item.key.right.value} {day}"
