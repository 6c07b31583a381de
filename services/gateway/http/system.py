"""How the system is: /healthz, /readyz, /metrics, /api/health, /api/metrics, /api/config, and the login."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import httpx
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import BaseModel, SecretStr

from services.gateway.adapters.views import BookViews
from services.gateway.http.auth import COOKIE, login_cookie, token_matches
from services.gateway.killswitch import kill_switch_in
from services.gateway.relay import GROUP, TOLD
from services.gateway.settings import GatewaySettings
from tradebus.bus.port import Bus
from tradebus.calendar.review import review
from tradebus.config.market_rules import MarketRulesSettings
from tradebus.config.settings import load_settings, without_password
from tradebus.contracts.streams import COMMAND_INBOX, MD_CANDLES, MD_TICKS, ORDERS, key_of
from tradebus.kernel.clock import Clock
from tradebus.kernel.time import ist_date, utc_iso
from tradebus.store.books import KillSwitchBook
from tradebus.store.books.kill_switch import reasons_in

_WATERMARKED = (key_of(MD_TICKS), key_of(MD_CANDLES), ORDERS.name)
_PROBE_SECONDS = 2.0
_COOKIE_SECONDS = 7 * 86_400


class LoginBody(BaseModel):
    token: str


def open_routes(token: SecretStr, ready: Callable[[], bool]) -> APIRouter:
    """The paths that need no token."""
    router = APIRouter()

    @router.get("/healthz")
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("alive\n")

    @router.get("/readyz")
    async def readyz() -> PlainTextResponse:
        return PlainTextResponse("ready\n") if ready() else PlainTextResponse("starting\n", 503)

    @router.post("/api/login")
    async def login(given: LoginBody, request: Request) -> Response:
        """Exchanges the token for a cookie that scripts cannot read and other sites cannot send."""
        if not token_matches(token, given.token):
            return JSONResponse({"detail": "this is not the token"}, 401)
        response = JSONResponse({"detail": "logged in"})
        response.set_cookie(
            COOKIE, login_cookie(token), max_age=_COOKIE_SECONDS, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return response

    return router


def system_routes(
    settings: GatewaySettings, *, bus: Bus, views: BookViews, switch: KillSwitchBook, clock: Clock,
    registry: CollectorRegistry,
) -> APIRouter:  # fmt: skip
    router, rules_file = APIRouter(), load_settings(MarketRulesSettings).market_rules

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @router.get("/api/metrics")
    async def metrics_json() -> dict[str, Any]:
        return {
            "metrics": [
                {"name": sample.name, "labels": dict(sample.labels), "value": _finite(sample.value)}
                for metric in registry.collect()
                for sample in metric.samples
            ]
        }

    @router.get("/api/health")
    async def health() -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=_PROBE_SECONDS, trust_env=False) as client:
            services = await asyncio.gather(*(_probe(client, *service) for service in settings.service_urls.items()))
        return {
            "postgres": f"ready ({await views.version()})",
            "watermarks": {stream: await _watermark(bus, stream) for stream in _WATERMARKED},
            "lag": {stream: await _lag(bus, stream) for stream in (*TOLD, COMMAND_INBOX.name)},
            "services": dict(services),
            "market_rules": {
                "file": None if rules_file is None else str(rules_file),
                "remarks": [asdict(remark) for remark in review(ist_date(clock.now_ns()))],
            },
            "kill_switch": await kill_switch(),
            "healthy": all(state == "ready" for _, state in services),
        }

    @router.get("/api/killswitch")
    async def kill_switch() -> dict[str, Any]:
        """How the switch stands: by its row, and by the file that works without one."""
        stands, in_file = await switch.read(), await asyncio.to_thread(reasons_in, settings.kill_file)
        if stands is not None and stands.engaged:
            further = [{"reason": one.reason, "at_utc": utc_iso(one.at_ns)} for one in stands.further]
            since = utc_iso(stands.changed_ns)
            return {"engaged": True, "reason": stands.reason, "since_utc": since, "further": further}
        return kill_switch_in(in_file)

    @router.get("/api/config")
    async def config() -> dict[str, Any]:
        return {"config": shown_settings(settings)}

    return router


def shown_settings(settings: GatewaySettings) -> dict[str, Any]:
    """The settings without any secret: URLs lose user and password, other secrets are stars."""
    found: dict[str, Any] = {}
    for name, value in settings:
        if isinstance(value, SecretStr):
            found[name] = without_password(value.get_secret_value()) if name.endswith("_url") else "***"
        else:
            found[name] = value if isinstance(value, int | float | dict) or value is None else str(value)
    return found


def _finite(value: float) -> float | None:
    """JSON has no word for infinity and not-a-number."""
    return value if math.isfinite(value) else None


async def _probe(client: httpx.AsyncClient, name: str, url: str) -> tuple[str, str]:
    try:
        response = await client.get(f"{url}/readyz")
    except httpx.HTTPError as error:
        return name, f"does not answer ({type(error).__name__})"
    return name, response.text.strip()[:200] if response.status_code != 200 else "ready"


async def _lag(bus: Bus, stream: str) -> int:
    """Entries the gateway has not dealt with yet."""
    return sum(group.unacknowledged for group in await bus.groups(stream) if group.name == GROUP)


async def _watermark(bus: Bus, stream: str) -> str | None:
    watermark_ns = await bus.last_watermark(stream)
    return None if watermark_ns is None else utc_iso(watermark_ns)
