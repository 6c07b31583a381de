"""The instrument dump: one CSV per exchange, made once per day and kept compressed."""

import csv
import gzip
import io
from collections.abc import Iterable

from fastapi import APIRouter, Request, Response

from services.sandbox.faces.kite.logins import Authorise
from services.sandbox.faces.kite.replies import bad_input
from services.sandbox.faces.kite.words import EXCHANGES, exchange_of, instrument_type_of, rupees, segment_of
from services.sandbox.ports import Exchange, SandboxInstrument
from tradebus.contracts.instrument_key import Segment
from tradebus.kernel.time import ist_date

COLUMNS = (
    "instrument_token", "exchange_token", "tradingsymbol", "name", "last_price", "expiry", "strike", "tick_size",
    "lot_size", "instrument_type", "segment", "exchange",
)  # fmt: skip
_ALL = ""
# Kite lists these too; the sandbox has nothing there, which is an empty dump and not a mistake of the caller.
_EMPTY = ("CDS", "BCD", "MCX", "MF", "NCO", "NSEIX", "GLOBAL")


def instrument_routes(exchange: Exchange, authorise: Authorise) -> APIRouter:
    router, dumps = APIRouter(), Dumps(exchange)

    @router.get("/instruments")
    async def everything(request: Request) -> Response:
        authorise(request)
        return _answer(dumps.of(_ALL), request)

    @router.get("/instruments/{name}")
    async def of_exchange(name: str, request: Request) -> Response:
        authorise(request)
        if name not in (*EXCHANGES, *_EMPTY):
            raise bad_input(f"Invalid `exchange`: {name[:20]!r} is not one of {', '.join(EXCHANGES)}")
        return _answer(dumps.of(name), request)

    return router


class Dumps:
    """Compressed CSVs of the day by exchange; "" is all of them."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._made: dict[tuple[object, ...], bytes] = {}

    def of(self, name: str) -> bytes:
        listed = self._exchange.instruments
        key = (ist_date(self._exchange.now_ns), len(listed), name)
        if key not in self._made:
            self._made = {made: dump for made, dump in self._made.items() if made[:2] == key[:2]}
            rows = (instrument for instrument in listed if name in (_ALL, exchange_of(instrument.key)))
            self._made[key] = gzip.compress(csv_of(rows).encode(), compresslevel=1, mtime=0)
        return self._made[key]


def csv_of(instruments: Iterable[SandboxInstrument]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for instrument in instruments:
        key = instrument.key
        index = key.segment is Segment.INDEX
        writer.writerow((
            instrument.kite_token, instrument.kite_token >> 8, instrument.symbol,
            instrument.symbol if index else key.name, 0.0, key.expiry.isoformat() if key.expiry else "",
            rupees(key.strike_paise or 0), 0.0 if index else rupees(instrument.tick_size_paise),
            0 if index else instrument.lot_size,
            instrument_type_of(key), segment_of(key), exchange_of(key),
        ))  # fmt: skip
    return text.getvalue()


def _answer(dump: bytes, request: Request) -> Response:
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(dump, media_type="text/csv", headers={"Content-Encoding": "gzip"})
    return Response(gzip.decompress(dump), media_type="text/csv")
