"""The GTT paths: place, change, cancel, look."""

from services.sandbox.faces.upstox import fields
from services.sandbox.faces.upstox.errors import invalid, of_refusal
from services.sandbox.faces.upstox.face import Access, Caller, Route, success
from services.sandbox.faces.upstox.fields import Fields
from services.sandbox.faces.upstox.gtt_book import ENTRY, IMMEDIATE, STOPLOSS, TARGET, Gtt, GttRule
from services.sandbox.faces.upstox.order_fields import instrument_named, protection
from services.sandbox.faces.upstox.words import PRODUCTS, TRANSACTIONS, product_of, product_word, rupees, segment_of
from services.sandbox.ports import BrokerName, NewOrder, Refusal, SandboxInstrument
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.clock import monotonic_ns

Row = dict[str, object]
_NANOSECONDS_PER_MICROSECOND = 1000
_KINDS = {"SINGLE": (1, 1), "MULTIPLE": (2, 3)}  # how many rules
_STRATEGIES = {name: name for name in (ENTRY, TARGET, STOPLOSS)}
_TRIGGERS = {name: name for name in ("ABOVE", "BELOW", IMMEDIATE)}
_PRODUCT_WORDS = {word: word for word in PRODUCTS}


async def place(call: Caller) -> object:
    started_ns = monotonic_ns()
    asked = await fields.body(call.request)
    instrument = instrument_named(call.face.exchange, asked.text("instrument_token", code="UDAPI1026"))
    side = asked.choice("transaction_type", TRANSACTIONS, code="UDAPI1057")
    order = NewOrder(
        instrument=instrument.index, transaction=side, order_type=OrderType.LIMIT,
        product=product_of(asked.choice("product", _PRODUCT_WORDS, code="UDAPI1054"), instrument),
        quantity=_quantity(asked), source=BrokerName.UPSTOX,
    )  # fmt: skip
    kind = asked.text("type")
    rules = _rules(asked, kind, side)
    _check_direction(rules[0], int(call.face.exchange.quotes["price_paise"][instrument.index]))
    gtt = call.face.gtts.place(account=call.account, kind=kind, order=order, rules=rules)
    call.face.gtt_watch.ensure(call.account)
    return _done(gtt, started_ns)


async def modify(call: Caller) -> object:
    started_ns = monotonic_ns()
    asked = await fields.body(call.request)
    gtt = call.face.gtts.get(call.account, asked.text("gtt_order_id"))
    kind = asked.text("type")
    if kind != gtt.kind:
        raise invalid("type", kind[:40], f"the type of this GTT order is {gtt.kind}")
    call.face.gtts.modify(gtt, quantity=_quantity(asked), rules=_rules(asked, kind, gtt.order.transaction))
    return _done(gtt, started_ns)


async def cancel(call: Caller) -> object:
    started_ns = monotonic_ns()
    asked = await fields.body(call.request)
    gtt = call.face.gtts.get(call.account, asked.text("gtt_order_id"))
    try:
        call.face.gtts.cancel(gtt)
    except Refusal as refusal:
        raise of_refusal(refusal, cancelling=True) from None
    return _done(gtt, started_ns)


async def details(call: Caller) -> object:
    """One by id, or all of them."""
    gtt_id = fields.query(call.request).optional_text("gtt_order_id")
    found = [call.face.gtts.get(call.account, gtt_id)] if gtt_id else call.face.gtts.all_of(call.account)
    instruments = call.face.exchange.instruments
    return success([gtt_row(gtt, instruments[gtt.instrument]) for gtt in found], metadata={"latency": 1})


def gtt_row(gtt: Gtt, instrument: SandboxInstrument) -> Row:
    """GttOrderDetails. Times in microseconds."""
    return {
        "type": gtt.kind, "exchange": segment_of(instrument), "quantity": gtt.quantity,
        "product": product_word(gtt.order.product), "trading_symbol": instrument.symbol,
        "tradingsymbol": instrument.symbol, "instrument_token": instrument.upstox_key, "gtt_order_id": gtt.gtt_id,
        "expires_at": gtt.expires_ns // _NANOSECONDS_PER_MICROSECOND,
        "created_at": gtt.created_ns // _NANOSECONDS_PER_MICROSECOND,
        "rules": [_rule_row(rule) for rule in gtt.rules],
    }  # fmt: skip


def _rule_row(rule: GttRule) -> Row:
    return {
        "strategy": rule.strategy, "status": rule.status.value, "trigger_type": rule.trigger_type,
        "trigger_price": rupees(rule.trigger_paise), "transaction_type": rule.transaction.value,
        "message": rule.message, "order_id": rule.order_id,
        "trailing_gap": None if rule.trailing_gap_paise is None else rupees(rule.trailing_gap_paise),
    }  # fmt: skip


def _quantity(asked: Fields) -> int:
    quantity = asked.whole("quantity", code="UDAPI1052")
    if quantity == 0:
        raise invalid("quantity", 0, "Quantity cannot be zero", code="UDAPI1052")
    return quantity


def _rules(asked: Fields, kind: str, side: Transaction) -> list[GttRule]:
    """The entry first, the others with the opposite side. Raises UpstoxError where they make no GTT order."""
    if kind not in _KINDS:
        raise invalid("type", kind[:40], f"type must be one of {', '.join(_KINDS)}", code="UDAPI1125")
    least, most = _KINDS[kind]
    rules = [_rule(item, side) for item in asked.items("rules")]
    rules.sort(key=lambda rule: tuple(_STRATEGIES).index(rule.strategy))
    names = [rule.strategy for rule in rules]
    if not least <= len(rules) <= most or names[0] != ENTRY or len(set(names)) != len(names):
        raise invalid("rules", ",".join(names)[:60], f"{kind} takes ENTRY and, where MULTIPLE, TARGET and STOPLOSS")
    return rules


def _rule(item: Fields, side: Transaction) -> GttRule:
    strategy = item.choice("strategy", _STRATEGIES, code="UDAPI1126")
    opposite = Transaction.SELL if side is Transaction.BUY else Transaction.BUY
    price = item.paise("trigger_price")
    if price == 0:
        raise invalid("trigger_price", 0, "Trigger price is required", code="UDAPI1036")
    asks_protection = item.number("market_protection") is not None
    return GttRule(
        strategy=strategy, trigger_type=item.choice("trigger_type", _TRIGGERS, code="UDAPI1127"), trigger_paise=price,
        transaction=side if strategy == ENTRY else opposite, trailing_gap_paise=item.paise("trailing_gap") or None,
        protection=protection(item, OrderType.MARKET) if asks_protection else None,
    )  # fmt: skip


def _check_direction(entry: GttRule, last_paise: int) -> None:
    """An entry waits on the side of the market that it names."""
    wrong = {"ABOVE": entry.trigger_paise < last_paise, "BELOW": entry.trigger_paise > last_paise}
    if wrong.get(entry.trigger_type, False):
        raise invalid(
            "trigger_price", rupees(entry.trigger_paise),
            f"the trigger price must be {entry.trigger_type} the last price of {rupees(last_paise)}", code="UDAPI1036",
        )  # fmt: skip


def _done(gtt: Gtt, started_ns: int) -> object:
    latency = (monotonic_ns() - started_ns) // 1_000_000 + 1
    return success({"gtt_order_ids": [gtt.gtt_id]}, metadata={"latency": latency})


ROUTES: tuple[Route, ...] = (
    ("POST", "/v3/order/gtt/place", Access.TOKEN, place),
    ("PUT", "/v3/order/gtt/modify", Access.TOKEN, modify),
    ("DELETE", "/v3/order/gtt/cancel", Access.TOKEN, cancel),
    ("GET", "/v3/order/gtt", Access.TOKEN, details),
)
