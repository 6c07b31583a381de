"""What the portfolio stream says: order updates, and where asked positions and GTT orders, as flat JSON."""

import json

from services.sandbox.faces.upstox.book_rows import update_row
from services.sandbox.faces.upstox.gtt import gtt_row
from services.sandbox.faces.upstox.gtt_book import Gtt
from services.sandbox.faces.upstox.portfolio import position_row
from services.sandbox.ports import Exchange, SandboxOrder

UPDATE_TYPES = ("order", "position", "holding", "gtt_order")


def wanted_types(text: str) -> frozenset[str]:
    """The kinds of a comma-separated list; orders alone where it names none."""
    return frozenset(UPDATE_TYPES) & frozenset(text.split(",")) or frozenset({"order"})


def texts_of_order(exchange: Exchange, order: SandboxOrder, wanted: frozenset[str], *, filled_before: int) -> list[str]:
    """What a change of an order is told as. `filled_before` is its filled quantity as last told."""
    instrument = exchange.instruments[order.request.instrument]
    texts = [_text(update_row(order, instrument))] if "order" in wanted else []
    if "position" in wanted and order.filled_quantity != filled_before:
        texts += [
            _text({"update_type": "position", "user_id": order.account} | position_row(item, instrument))
            for item in exchange.positions(order.account)
            if item.instrument == instrument.index
        ]
    return texts


def text_of_gtt(exchange: Exchange, gtt: Gtt) -> str:
    return _text({"update_type": "gtt_order"} | gtt_row(gtt, exchange.instruments[gtt.instrument]))


def _text(row: dict[str, object]) -> str:
    return json.dumps(row, separators=(",", ":"))
