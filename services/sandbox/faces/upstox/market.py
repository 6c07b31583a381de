"""When the market is open: status, timings of a day, holidays of a year. Read off the dated rules."""

from datetime import date

from services.sandbox.faces.upstox.errors import invalid
from services.sandbox.faces.upstox.face import Access, Caller, Route, success
from services.sandbox.faces.upstox.market_state import CLASSES, status_at
from services.sandbox.faces.upstox.words import milliseconds
from tradebus.calendar import session_for
from tradebus.calendar.rules import current
from tradebus.kernel.time import ist_date

Row = dict[str, object]


async def status(call: Caller) -> object:
    exchange = call.request.path_params["exchange"]
    if exchange not in CLASSES:
        raise invalid("exchange", exchange[:40], f"exchange must be one of {', '.join(CLASSES)}", code="UDAPI1088")
    now_ns = call.face.exchange.now_ns
    return success(
        {
            "exchange": exchange, "status": status_at(now_ns, CLASSES[exchange]), "last_updated": milliseconds(now_ns)
        }
    )  # fmt: skip


async def timings(call: Caller) -> object:
    """Empty on a day without a session."""
    return success(_timings(_day(call)))


def _timings(day: date) -> list[Row]:
    rows = []
    for name, market_class in CLASSES.items():
        session = session_for(day, market_class)
        if session is not None:
            rows.append(
                {
                    "exchange": name, "start_time": milliseconds(session.open_ns),
                    "end_time": milliseconds(session.close_ns),
                }
            )  # fmt: skip
    return rows


async def holidays(call: Caller) -> object:
    """Of the year under way."""
    year = ist_date(call.face.exchange.now_ns).year
    days = sorted({day for day in (*current().holidays, *current().special_sessions) if day.year == year})
    return success([row for day in days for row in _holiday(day)])


async def holiday(call: Caller) -> object:
    return success(_holiday(_day(call)))


def _holiday(day: date) -> list[Row]:
    """Nothing on an ordinary day."""
    closed, special = current().holidays.get(day), current().special_sessions.get(day)
    if closed is None and special is None:
        return []
    return [
        {
            "date": day.isoformat(), "description": special.label if special else closed.label if closed else "",
            "holiday_type": "SPECIAL_TIMING" if special else "TRADING_HOLIDAY",
            "closed_exchanges": [] if special else list(CLASSES), "open_exchanges": _timings(day) if special else [],
        }
    ]  # fmt: skip


def _day(call: Caller) -> date:
    text: str = call.request.path_params["date"]
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid("date", text[:40], "date must be a day as YYYY-MM-DD", code="UDAPI1021") from None


ROUTES: tuple[Route, ...] = (
    ("GET", "/v2/market/status/{exchange}", Access.TOKEN, status),
    ("GET", "/v2/market/timings/{date}", Access.PUBLIC, timings),
    ("GET", "/v2/market/holidays", Access.PUBLIC, holidays),
    ("GET", "/v2/market/holidays/{date}", Access.PUBLIC, holiday),
)
