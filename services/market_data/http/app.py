"""The application: /v1 of SPEC 3.

404 for a symbol nobody registered, 422 for a bad parameter, 200 with an empty list where nothing is known yet, 503 with
one sentence where Redis or Postgres is away; never a 500 for bad input.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import asyncpg
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from services.market_data.http.candles import LIMIT_MAX, CandleReader
from services.market_data.http.names import InstrumentNames, UnknownSymbol
from services.market_data.http.parameters import day, instant_ns
from services.market_data.http.tail import StreamTail
from services.market_data.http.wire import no_quote_json, option_chain_json, quote_json
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.kernel.timers import Timers
from tradebus.store.book import Book
from tradebus.store.books import chains_book, feeds_book
from tradebus.waiting.timers import deadline

_STORE_SECONDS = 5.0
_STORE_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

SymbolQuery = Annotated[str, Query(min_length=1, max_length=60)]
Timeframe = Annotated[int, Query(ge=1, le=86_400)]


def create_app(book: Book, tail: StreamTail, *, timers: Timers) -> FastAPI:
    """Every path, reading `book` and `tail`."""
    app = FastAPI(title="tradebus market data", docs_url=None, redoc_url=None, openapi_url=None)
    names, reader = InstrumentNames(book, timers=timers), CandleReader(book, tail)
    app.include_router(_candle_routes(names, reader, timers), prefix="/v1")
    app.include_router(_quote_routes(names, reader, tail, timers), prefix="/v1")
    app.include_router(_reference_routes(names, book, tail, timers), prefix="/v1")
    _answer_errors(app)
    return app


def _candle_routes(names: InstrumentNames, reader: CandleReader, timers: Timers) -> APIRouter:
    router = APIRouter()

    @router.get("/candles/last")
    async def candles_last(
        symbol: SymbolQuery, timeframe_seconds: Timeframe = 60, limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 100
    ) -> Response:
        async with _store_answers(timers):
            instrument = await names.find(symbol)
            return _json(await reader.last(instrument, timeframe_seconds=timeframe_seconds, limit=limit))

    @router.get("/candles")
    async def candles(
        symbol: SymbolQuery,
        start: Annotated[str, Query(alias="from", max_length=40)],
        end: Annotated[str, Query(alias="to", max_length=40)],
        timeframe_seconds: Timeframe = 60,
    ) -> Response:
        from_ns, to_ns = instant_ns(start, name="from"), instant_ns(end, name="to", ends_day=True)
        if to_ns < from_ns:
            raise InvalidInput(f"to: {end} is before from {start}")
        async with _store_answers(timers):
            instrument = await names.find(symbol)
            return _json(
                await reader.between(instrument, timeframe_seconds=timeframe_seconds, from_ns=from_ns, to_ns=to_ns)
            )

    return router


def _quote_routes(names: InstrumentNames, reader: CandleReader, tail: StreamTail, timers: Timers) -> APIRouter:
    router = APIRouter()

    @router.get("/quote")
    async def quote(symbol: SymbolQuery) -> Response:
        async with _store_answers(timers):
            instrument = await names.find(symbol)
            tail.require_following()
            tick = tail.tick(instrument.instrument_id)
            if tick is not None:
                return _json(
                    quote_json(
                        instrument, ts_ns=tick.ts_ns, price_paise=tick.price_paise, bid_paise=tick.bid_paise,
                        ask_paise=tick.ask_paise, volume=tick.volume, open_interest=tick.open_interest, source="tick",
                    )
                )  # fmt: skip
            newest = await reader.newest_minute(instrument)
        if not len(newest):
            return _json(no_quote_json(instrument))
        bar = newest[0]
        return _json(
            quote_json(
                instrument, ts_ns=int(bar["ts_close_ns"]), price_paise=int(bar["close_paise"]), bid_paise=0,
                ask_paise=0, volume=int(bar["volume"]), open_interest=int(bar["open_interest"]), source="candle",
            )
        )  # fmt: skip

    return router


def _reference_routes(names: InstrumentNames, book: Book, tail: StreamTail, timers: Timers) -> APIRouter:
    router, feeds, chains = APIRouter(), feeds_book(book), chains_book(book)

    @router.get("/health")
    async def health() -> Response:
        async with _store_answers(timers):
            row = await feeds.read()
        tail.require_following()
        feed = None
        if row is not None:
            feed = {"identity": row.identity, "spec": row.spec, "status": row.status}
        return _json(json.dumps({"status": "ok", "redis": "ok", "postgres": "ok", "feed": feed}).encode())

    @router.get("/option_chain")
    async def option_chain(symbol: SymbolQuery, expiry: Annotated[str | None, Query(max_length=20)] = None) -> Response:
        wanted = day(expiry, name="expiry")
        async with _store_answers(timers):
            instrument = await names.find(symbol)
            index = instrument.underlying
            chain = await (chains.nearest(index) if wanted is None else chains.of_expiry(index, wanted))
        if chain is None:
            return _json(option_chain_json(index, expiry=wanted, strikes=[], seen_ns=None))
        return _json(option_chain_json(index, expiry=chain.expiry, strikes=chain.strikes, seen_ns=chain.seen_ns))

    @router.get("/instruments")
    async def instruments(
        query: Annotated[str, Query(max_length=60)] = "", limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> Response:
        async with _store_answers(timers):
            found = await names.search(query, limit=limit)
        rows = b",".join(item.model_dump_json().encode() for item in found)
        return _json(b'{"instruments":[%s]}' % rows)

    return router


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def bad_parameter(_request: Request, error: RequestValidationError) -> JSONResponse:
        problems = [f"{item['loc'][-1]}: {item['msg']}" for item in error.errors()]
        return JSONResponse({"detail": "; ".join(problems)}, 422)

    @app.exception_handler(UnknownSymbol)
    async def unknown(_request: Request, error: UnknownSymbol) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 404)

    @app.exception_handler(InvalidInput)
    async def invalid(_request: Request, error: InvalidInput) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(Unavailable)
    async def unavailable(_request: Request, error: Unavailable) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 503)


@asynccontextmanager
async def _store_answers(timers: Timers) -> AsyncIterator[None]:
    """Turns a lost or silent Postgres into one sentence."""
    try:
        async with deadline(timers, _STORE_SECONDS):
            yield
    except _STORE_ERRORS as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise Unavailable(f"Postgres does not answer ({reason}): start it or correct DATABASE_URL") from error


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
