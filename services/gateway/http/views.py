"""GET /api/…: the book of record, read only. One table of views; filters `session_id`, `user_id`, `limit`."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.gateway.adapters.views import BookViews
from services.gateway.http import rows
from tradebus.kernel.clock import Clock

# Ids are made of these; anything else cannot be one and is a 422, not a database error.
Filter = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_.@:-]{1,128}$")]
Limit = Annotated[int, Query(ge=1, le=5000)]

VIEWS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "sessions": rows.shown,
    "trades": rows.trade,
    "orders": rows.order,
    "signals": rows.shown,
    "decisions": rows.shown,
    "risk": rows.shown,
    "performance": rows.performance,
    "limits": rows.limit_change,
    "shared_limits": rows.shared_limit_change,
    "headroom": rows.headroom,
    "approvals": rows.approval,
}


def view_routes(views: BookViews, clock: Clock) -> APIRouter:
    router = APIRouter(prefix="/api")
    for name in VIEWS:
        router.add_api_route(f"/{name}", _view(views, name), methods=["GET"], name=name)

    @router.get("/portfolio")
    async def portfolio(session_id: Filter = None, user_id: Filter = None, limit: Limit = 100) -> dict[str, Any]:
        """The sessions that are alive (or the one asked for): capital, P&L and open positions."""
        return {"portfolio": await read_portfolio(views, session_id=session_id, user_id=user_id, limit=limit)}

    @router.get("/order_budgets")
    async def order_budgets(limit: Limit = 100) -> dict[str, Any]:
        """What of its order limits each broker account has used by now."""
        found = await views.rows("order_budgets", session_id=None, user_id=None, limit=limit)
        return {"order_budgets": [rows.order_budget(row, now_ns=clock.now_ns()) for row in found]}

    @router.get("/accounts")
    async def accounts(limit: Limit = 100) -> dict[str, Any]:
        """Each broker account: why no position is opened in it, and the broker's profit today beside ours."""
        found = await views.rows("accounts", session_id=None, user_id=None, limit=limit)
        return {"accounts": [rows.account(row) for row in found]}

    return router


def _view(views: BookViews, name: str) -> Callable[..., Any]:
    async def view(session_id: Filter = None, user_id: Filter = None, limit: Limit = 100) -> dict[str, Any]:
        return {name: await read_view(views, name, session_id=session_id, user_id=user_id, limit=limit)}

    return view


async def read_view(
    views: BookViews, name: str, *, session_id: str | None = None, user_id: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """The rows of one view, newest first."""
    return [VIEWS[name](row) for row in await views.rows(name, session_id=session_id, user_id=user_id, limit=limit)]


async def read_portfolio(
    views: BookViews, *, session_id: str | None = None, user_id: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Per session: capital, realised and unrealised P&L, open positions."""
    sessions = await views.portfolio(session_id=session_id, user_id=user_id, limit=limit)
    positions = await views.positions([row["session_id"] for row in sessions])
    found = []
    for session in sessions:
        own = [row for row in positions if row["session_id"] == session["session_id"]]
        found.append(
            {
                **rows.shown(session),
                "unrealised_pnl": rows.json_rupees(sum(rows.unrealised_paise(row) or 0 for row in own)),
                "positions": [rows.position(row) for row in own],
            }
        )
    return found
