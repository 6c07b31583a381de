"""The sandbox's own address: for tests, demos and people. No broker has one; it takes no token and stays on this host.

GET  /health                      POST /accounts/{name}/login/{broker}       GET /accounts/{name}[/changes]
GET  /clock  POST /clock/advance  POST /accounts/{name}/funds                GET /instruments?query=
GET  /faults  POST  DELETE        POST /market/shock  POST /market/halt      GET /market/quote?key=
"""

from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field

from services.sandbox.admin.book_summary import instrument_row, order_row, quote_row, summary_of
from services.sandbox.exchange import SandboxExchange
from services.sandbox.faults.rules import FaultRule, RuleFaults, seeded_rules
from services.sandbox.ports import BrokerName, Reading, Refusal, SandboxInstrument, SandboxOrder
from tradebus.contracts.base import Model
from tradebus.kernel.time import ist_datetime

_ADVANCE_SECONDS_MAX = 40 * 86_400


class Advance(Model):
    """How far the market's clock is to go."""

    seconds: float = Field(gt=0, le=_ADVANCE_SECONDS_MAX)


class Funds(Model):
    """An account's settled cash."""

    cash_paise: int = Field(ge=0, le=10**17)


class Shock(Model):
    """`share` 0.01 lifts the instrument's underlying by one percent."""

    key: str
    share: float = Field(gt=-0.5, lt=1.0)


class Halt(Model):
    """Stops or resumes trading in one instrument."""

    key: str
    halted: bool = True


class Seeded(Model):
    """Faults of every kind, each striking about `share` of what it sees."""

    seed: int = Field(ge=0)
    share: float = Field(default=0.01, gt=0, le=1)


def create_admin(exchange: SandboxExchange, faults: RuleFaults) -> FastAPI:
    """The application."""
    app = FastAPI(title="sandbox: admin", docs_url=None, redoc_url=None, openapi_url=None)
    _clock(app, exchange)
    _accounts(app, exchange)
    _faults(app, faults)
    _market(app, exchange)

    @app.exception_handler(Refusal)
    async def refused(_request: Request, refusal: Refusal) -> JSONResponse:
        return JSONResponse({"why": refusal.why, "error": refusal.text}, 422)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        # What was sent is not sent back: NaN and infinity have no JSON.
        said = [{"loc": one["loc"], "type": one["type"], "msg": one["msg"]} for one in error.errors()]
        return JSONResponse({"detail": said}, 422)

    return app


def _clock(app: FastAPI, exchange: SandboxExchange) -> None:
    def clock() -> dict[str, Any]:
        now_ns, speed = exchange.now_ns, exchange.options.speed
        return {"now_ns": now_ns, "indian_time": ist_datetime(now_ns).isoformat(), "speed": speed}

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "instruments": len(exchange.instruments), "ticks": exchange.floor.ticks, **clock()}

    @app.get("/clock")
    async def get_clock() -> dict[str, Any]:
        return clock()

    @app.post("/clock/advance")
    async def advance(body: Advance) -> dict[str, Any]:
        if exchange.options.speed:
            raise HTTPException(409, "the clock runs by itself: only at speed 0 can it be moved by hand")
        await exchange.advance_in_turns(body.seconds)
        return clock()


def _accounts(app: FastAPI, exchange: SandboxExchange) -> None:
    @app.post("/accounts/{name}/login/{broker}")
    async def login(name: str, broker: BrokerName) -> dict[str, Any]:
        token = exchange.login(broker, name)
        return {"account": name, "broker": broker, "access_token": token.value, "expires_ns": token.expires_ns}

    @app.post("/accounts/{name}/funds")
    async def funds(name: str, body: Funds) -> dict[str, Any]:
        exchange.set_cash(name, body.cash_paise)
        return {"account": name, "cash_paise": body.cash_paise}

    @app.get("/accounts")
    async def accounts() -> list[str]:
        return sorted(exchange.floor.accounts)

    @app.get("/accounts/{name}")
    async def account(name: str) -> dict[str, Any]:
        if name not in exchange.floor.accounts:
            raise HTTPException(404, f"there is no account {name!r}; log in or give it funds first")
        return summary_of(exchange, name)

    listening: dict[str, Reading[SandboxOrder]] = {}

    @app.get("/accounts/{name}/changes")
    async def changes(name: str) -> list[dict[str, Any]]:
        """Its orders as each change left them, since this was asked last; asked first, it begins."""
        queue = listening.get(name)
        if queue is None:
            queue = listening[name] = exchange.listen_orders(name)
        found = []
        while not queue.empty():
            found.append(order_row(exchange, queue.get_nowait()))
        return found


def _faults(app: FastAPI, faults: RuleFaults) -> None:
    def listed() -> list[dict[str, Any]]:
        return [
            {"id": number, "matched": seen, "struck": done, **rule.model_dump(mode="json", exclude_none=True)}
            for number, rule, seen, done in faults.listed()
        ]

    @app.get("/faults")
    async def get_faults() -> list[dict[str, Any]]:
        return listed()

    @app.post("/faults", status_code=201)
    async def add_fault(rule: FaultRule) -> dict[str, int]:
        return {"id": faults.add(rule)}

    @app.post("/faults/seeded", status_code=201)
    async def add_seeded(body: Seeded) -> list[dict[str, Any]]:
        for rule in seeded_rules(body.seed, share=body.share):
            faults.add(rule)
        return listed()

    @app.delete("/faults")
    async def clear() -> list[dict[str, Any]]:
        faults.clear()
        return listed()

    @app.delete("/faults/{number}")
    async def remove(number: int) -> list[dict[str, Any]]:
        if not faults.remove(number):
            raise HTTPException(404, f"there is no fault rule {number}")
        return listed()


def _market(app: FastAPI, exchange: SandboxExchange) -> None:
    def named(key: str) -> SandboxInstrument:
        found = exchange.by_key(key)
        if found is None:
            raise HTTPException(404, f"there is no instrument {key!r}: write NSE:INFY or NFO:NIFTY:2026-12-29:FUT")
        return found

    @app.get("/instruments")
    async def instruments(query: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[dict[str, Any]]:
        wanted = query.upper()
        found = (one for one in exchange.instruments if wanted in one.symbol.upper() or wanted in str(one.key))
        return [instrument_row(one) for one, _ in zip(found, range(limit), strict=False)]

    @app.get("/market/quote")
    async def quote(key: str) -> dict[str, Any]:
        return quote_row(exchange, named(key))

    @app.post("/market/shock")
    async def shock(body: Shock) -> dict[str, Any]:
        instrument = named(body.key)
        exchange.shock(instrument.index, body.share)
        return quote_row(exchange, instrument)

    @app.post("/market/halt")
    async def halt(body: Halt) -> dict[str, Any]:
        instrument = named(body.key)
        exchange.halt(instrument.index, halted=body.halted)
        return {"key": body.key, "halted": body.halted}
