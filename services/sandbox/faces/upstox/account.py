"""The user: profile, money, margin and charges of an order, kill switch, addresses, login and logout."""

from dataclasses import replace
from urllib.parse import parse_qsl

from starlette.responses import RedirectResponse

from services.sandbox.faces.upstox import fields
from services.sandbox.faces.upstox.errors import invalid
from services.sandbox.faces.upstox.face import Access, Caller, Route, success
from services.sandbox.faces.upstox.order_fields import instrument_named
from services.sandbox.faces.upstox.words import PRODUCTS, SEGMENTS, TRANSACTIONS, product_of, rupees
from services.sandbox.ports import BrokerName, NewOrder
from tradebus.contracts.orders import OrderType, Tariff
from tradebus.kernel.time import ist_date
from tradebus.trading.charges import charges_paise
from tradebus.trading.orders import Product

Row = dict[str, object]
_PRODUCT_WORDS = {word: word for word in PRODUCTS}
_MARGIN_ITEMS_MAX = 20
_SWITCHES = {"ENABLE": True, "DISABLE": False}


def _profile(account: str) -> Row:
    return {
        "email": f"{account.lower()}@example.com", "exchanges": ["NSE", "NFO", "BSE", "BFO"],
        "products": ["D", "I", "MTF"], "broker": "UPSTOX", "user_id": account, "user_name": f"Sandbox {account}",
        "order_types": ["MARKET", "LIMIT", "SL", "SL-M"], "user_type": "individual", "poa": False, "is_active": True,
    }  # fmt: skip


async def dialog(call: Caller) -> object:
    """What the browser sees of the login: a redirect with a code. `user_id` says who logs in, else the application."""
    asked = fields.query(call.request)
    where = call.face.logins.dialog(
        client_id=asked.optional_text("client_id"), redirect_uri=asked.optional_text("redirect_uri"),
        state=asked.optional_text("state"), user=asked.optional_text("user_id"),
    )  # fmt: skip
    return RedirectResponse(where, 302)


async def token(call: Caller) -> object:
    """Trades the code for a token."""
    given = dict(parse_qsl((await call.request.body()).decode("utf-8", "replace")))
    for name, code in (
        ("client_id", "UDAPI1017"), ("redirect_uri", "UDAPI1018"), ("code", "UDAPI1022"), ("grant_type", "UDAPI1023"),
        ("client_secret", "UDAPI1024"),
    ):  # fmt: skip
        if not given.get(name):
            raise invalid(name, None, f"{name} is required", code=code)
    if given["grant_type"] != "authorization_code":
        raise invalid("grant_type", given["grant_type"][:60], "grant_type must be authorization_code", code="UDAPI1025")
    made = call.face.logins.token_for(given["code"])
    return _profile(made.account) | {"access_token": made.value, "extended_token": None}


async def logout(call: Caller) -> object:
    call.face.logins.log_out(call.request)
    return success(True)


async def profile(call: Caller) -> object:
    return success(_profile(call.account))


async def funds(call: Caller) -> object:
    """Equity and derivatives share one pot; commodities have none."""
    segment = fields.query(call.request).optional_text("segment")
    if segment not in ("", "SEC", "COM"):
        raise invalid("segment", segment[:60], "segment must be SEC or COM", code="UDAPI1027")
    margins = call.face.exchange.margins(call.account)
    pots = {
        "SEC": ("equity", _pot(rupees(margins.available_paise), rupees(margins.used_paise))),
        "COM": ("commodity", _pot(0.0, 0.0)),
    }
    return success(dict(pot for name, pot in pots.items() if segment in ("", name)))


def _pot(available: float, used: float) -> Row:
    return {
        "used_margin": used, "payin_amount": 0.0, "span_margin": 0.0, "adhoc_margin": 0.0, "notional_cash": 0.0,
        "available_margin": available, "exposure_margin": 0.0,
    }  # fmt: skip


async def funds_v3(call: Caller) -> object:
    margins = call.face.exchange.margins(call.account)
    cash = {
        "total": rupees(margins.available_paise), "opening_balance": rupees(margins.opening_paise),
        "margin_used": {"total": rupees(margins.used_paise)},
        "realised_profit": rupees(margins.realised_paise), "unrealised_profit": rupees(margins.unrealised_paise),
    }  # fmt: skip
    return success(
        {
            "available_to_trade": {"total": rupees(margins.available_paise), "cash_available_to_trade": cash},
            "unavailable_to_trade": {"cash_unavailable_to_trade": {"total": 0.0}},
        }
    )


async def margin(call: Caller) -> object:
    """Of each order alone, and of all together."""
    items = (await fields.body(call.request)).items("instruments")
    if len(items) > _MARGIN_ITEMS_MAX:
        raise invalid("instruments", len(items), f"at most {_MARGIN_ITEMS_MAX} instruments", code="UDAPI1104")
    orders = [_order_for_margin(call, item) for item in items]
    needed = call.face.exchange.required_margins(orders)
    rows = []
    for order, paise in zip(orders, needed.alone_paise, strict=True):
        derivative = call.face.exchange.instruments[order.instrument].key.is_derivative
        rows.append(
            {
                "span_margin": rupees(paise) if derivative else 0.0, "exposure_margin": 0.0,
                "equity_margin": 0.0 if derivative else rupees(paise), "net_buy_premium": 0.0,
                "additional_margin": 0.0, "total_margin": rupees(paise), "tender_margin": 0.0,
            }
        )  # fmt: skip
    total, final = rupees(sum(needed.alone_paise)), rupees(needed.together_paise)
    return success({"margins": rows, "required_margin": total, "final_margin": final})


def _order_for_margin(call: Caller, item: fields.Fields) -> NewOrder:
    instrument = instrument_named(call.face.exchange, item.text("instrument_key"), field="instrument_key")
    quantity = item.whole("quantity", code="UDAPI1052")
    if quantity == 0:
        raise invalid("quantity", 0, "Quantity cannot be zero", code="UDAPI1052")
    order = NewOrder(
        instrument=instrument.index, transaction=item.choice("transaction_type", TRANSACTIONS, code="UDAPI1057"),
        order_type=OrderType.MARKET, product=product_of(item.choice("product", _PRODUCT_WORDS), instrument),
        quantity=quantity, market_protection_pct=-1.0, source=BrokerName.UPSTOX,
    )  # fmt: skip
    price = item.paise("price")
    return replace(order, order_type=OrderType.LIMIT, price_paise=price, market_protection_pct=0.0) if price else order


async def brokerage(call: Caller) -> object:
    """What a fill at the price would cost."""
    asked = fields.query(call.request)
    instrument = instrument_named(call.face.exchange, asked.text("instrument_token", code="UDAPI1026"))
    quantity, price = asked.whole("quantity"), asked.paise("price")
    if not quantity or not price:
        raise invalid("quantity", quantity, "quantity and price must be above 0", code="UDAPI1052")
    kind = "OPTION" if instrument.key.is_option else "FUTURE" if instrument.key.is_derivative else "EQUITY"
    parts = charges_paise(
        day=ist_date(call.face.exchange.now_ns), kind=kind, quantity=quantity, price_paise=price,
        transaction=asked.choice("transaction_type", TRANSACTIONS, code="UDAPI1057"),
        delivery=product_of(asked.choice("product", _PRODUCT_WORDS), instrument) is Product.DELIVERY,
        tariff=Tariff.UPSTOX,
    )  # fmt: skip
    charges = {
        "total": rupees(parts.total_paise), "brokerage": rupees(parts.brokerage_paise),
        "taxes": {
            "gst": rupees(parts.gst_paise), "stt": rupees(parts.stt_paise), "stamp_duty": rupees(parts.stamp_paise)
        },
        "otherTaxes": {
            "transaction": rupees(parts.transaction_paise), "clearing": 0.0, "sebi_turnover": rupees(parts.sebi_paise),
            "ipft": rupees(parts.ipft_paise),
        },
        "dpPlan": {"name": "PREMIUM", "min_expense": 0.0},
    }  # fmt: skip
    return success({"charges": charges | {"other_taxes": charges["otherTaxes"], "dp_plan": charges["dpPlan"]}})


async def kill_switch(call: Caller) -> object:
    return success(_switches(call))


async def set_kill_switch(call: Caller) -> object:
    """The exchange has one switch for the account: it is off only when no segment asks for it."""
    items = await fields.json_body(call.request)
    if not isinstance(items, list) or not items:
        raise invalid("body", None, "a list of segments with actions", code="UDAPI1186")
    wanted = []
    for item in items:
        asked = fields.of_object(item)
        asked.choice("segment", {name: name for name in SEGMENTS}, code="UDAPI1186")
        wanted.append(asked.choice("action", _SWITCHES, code="UDAPI1186"))
    call.face.exchange.set_kill_switch(call.account, engaged=any(wanted))
    return success(_switches(call))


def _switches(call: Caller) -> list[Row]:
    engaged = call.face.exchange.kill_switch(call.account)
    return [
        {
            "segment": segment, "segment_status": "INACTIVE" if engaged else "ACTIVE", "kill_switch_enabled": engaged,
            "kill_switch_updated_at": None,
        }
        for segment in SEGMENTS
    ]  # fmt: skip


ROUTES: tuple[Route, ...] = (
    ("GET", "/v2/login/authorization/dialog", Access.PUBLIC, dialog),
    ("POST", "/v2/login/authorization/token", Access.PUBLIC, token),
    ("DELETE", "/v2/logout", Access.TOKEN, logout),
    ("GET", "/v2/user/profile", Access.TOKEN, profile),
    ("GET", "/v2/user/get-funds-and-margin", Access.TOKEN, funds),
    ("GET", "/v3/user/get-funds-and-margin", Access.TOKEN, funds_v3),
    ("POST", "/v2/charges/margin", Access.TOKEN, margin),
    ("GET", "/v2/charges/brokerage", Access.TOKEN, brokerage),
    ("GET", "/v2/user/kill-switch", Access.TOKEN, kill_switch),
    ("POST", "/v2/user/kill-switch", Access.TOKEN, set_kill_switch),
)
