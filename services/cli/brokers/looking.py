"""What `tradebus instruments` and `tradebus quote` do."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from services.cli.brokers.access import opened
from services.cli.output import print_json
from services.market_data.feeds.live.resolve import BrokerMaster, Resolved
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.records import (
    QUOTE_HAS_DEPTH,
    QUOTE_HAS_LAST_TRADE_TIME,
    QUOTE_HAS_OPEN_INTEREST,
    QUOTE_HAS_VOLUME,
    Records,
)
from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import format_rupees, paise_to_rupees
from tradebus.kernel.time import utc_iso

_WIDTH = 160


async def show_instruments(
    broker: str, *, url: str | None, credential: str | None, query: str, limit: int, json: bool
) -> None:
    """The rows of the broker's master that hold `query` in symbol or key, by key. Raises BrokerError."""
    async with opened(broker, url=url, credential=credential, public=True) as found:
        rows = await found.reference.instruments()
    wanted = query.upper()
    matching = [row for row in rows if wanted in row.symbol.upper() or wanted in str(row.key).upper()]
    matching.sort(key=lambda row: (len(row.symbol), str(row.key)) if query else (0, str(row.key)))
    shown = [_instrument(row) for row in matching[:limit]]
    if json:
        print_json({
            "command": "instruments", "broker": broker, "listed": len(rows), "matching": len(matching),
            "instruments": shown,
        })  # fmt: skip
        return
    if not shown:
        raise InvalidInput(f"--query {query!r}: none of {broker}'s {len(rows):,} instruments matches")
    table = Table("key", "symbol", "token", "segment", "lot", "tick", "freeze")
    for row in shown:
        freeze = "" if row["freeze_quantity"] is None else f"{row['freeze_quantity']:,}"
        table.add_row(
            row["key"], row["symbol"], row["token"], row["segment"], str(row["lot_size"]), row["tick_size"], freeze
        )
    _print(table)
    print(f"{len(shown)} of {len(matching):,} that match, of {len(rows):,} listed at {broker}")


async def show_quotes(
    broker: str, symbols: Sequence[str], *, url: str | None, credential: str | None, json: bool
) -> None:
    """Quotes by symbol, alias or key; an index' name means its front-month future. Raises BrokerError and
    InvalidInput."""
    async with opened(broker, url=url, credential=credential) as found:
        listings = BrokerMaster(await found.reference.instruments())
        rows = listings.resolve(symbols, now_ns=WallClock().now_ns())
        quotes = await found.reference.quotes([one.listing for one in rows])
    shown = [_quote(quote, rows[int(quote["instrument"])]) for quote in quotes]
    if json:
        print_json({"command": "quote", "broker": broker, "quotes": shown})
        return
    if not shown:
        raise InvalidInput(f"quote: {broker} has no quote of {', '.join(symbols)} now")
    table = Table("symbol", "last", "bid", "ask", "volume", "open interest", "time (UTC)")
    for row in shown:
        table.add_row(
            row["symbol"], *(_money(row[name]) for name in ("price_paise", "bid_paise", "ask_paise")),
            *("" if row[name] is None else f"{row[name]:,}" for name in ("volume", "open_interest")),
            row["time_utc"][:19],
        )  # fmt: skip
    _print(table)


def _print(table: Table) -> None:
    """Whole, where it goes into a file or pipe."""
    Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH).print(table)


def _instrument(row: ListedInstrument) -> dict[str, Any]:
    return {
        "key": str(row.key), "symbol": row.symbol, "token": row.token, "segment": row.broker_segment,
        "lot_size": row.lot_size, "tick_size": str(paise_to_rupees(row.tick_size_paise)),
        "freeze_quantity": row.freeze_quantity,
    }  # fmt: skip


def _quote(quote: Records, row: Resolved) -> dict[str, Any]:
    fields = int(quote["fields"])
    depth = bool(fields & QUOTE_HAS_DEPTH)
    at_ns = quote["ts_last_trade_ns" if fields & QUOTE_HAS_LAST_TRADE_TIME else "ts_event_ns"]  # a price is its trade's
    return {
        "symbol": row.symbol, "key": str(row.listing.key), "price_paise": int(quote["price_paise"]),
        "bid_paise": int(quote["bid_paise"][0]) if depth else None,
        "ask_paise": int(quote["ask_paise"][0]) if depth else None,
        "volume": int(quote["volume_cumulative"]) if fields & QUOTE_HAS_VOLUME else None,
        "open_interest": int(quote["open_interest"]) if fields & QUOTE_HAS_OPEN_INTEREST else None,
        "time_utc": utc_iso(int(at_ns)),
    }  # fmt: skip


def _money(paise: int | None) -> str:
    return "" if paise is None else format_rupees(paise)
