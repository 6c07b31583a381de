"""Kite's words for an order (BROKERS 5, status map). Quantities decide fills, never a word."""

from tradebus.brokers.common.orders.book import decided
from tradebus.trading.orders import BrokerStatus

_WORDS = {
    "PUT ORDER REQ RECEIVED": BrokerStatus.PENDING,
    "VALIDATION PENDING": BrokerStatus.PENDING,
    "OPEN PENDING": BrokerStatus.PENDING,
    "AMO REQ RECEIVED": BrokerStatus.PENDING,
    "OPEN": BrokerStatus.OPEN,
    "MODIFY PENDING": BrokerStatus.OPEN,
    "MODIFY VALIDATION PENDING": BrokerStatus.OPEN,
    "MODIFIED": BrokerStatus.OPEN,
    "UPDATE": BrokerStatus.OPEN,
    "CANCEL PENDING": BrokerStatus.CANCEL_PENDING,
    "TRIGGER PENDING": BrokerStatus.TRIGGER_PENDING,
    "COMPLETE": BrokerStatus.FILLED,
    "CANCELLED": BrokerStatus.CANCELLED,
    "CANCELLED AMO": BrokerStatus.CANCELLED,
    "LAPSED": BrokerStatus.CANCELLED,
    "REJECTED": BrokerStatus.REJECTED,
}


def status_of(word: str, *, quantity: int, filled_quantity: int) -> BrokerStatus:
    """The common status. Units. UNKNOWN for a word that is not documented, and where word and quantities disagree."""
    status = _WORDS.get(" ".join(word.upper().split()), BrokerStatus.UNKNOWN)
    return decided(status, quantity=quantity, filled_quantity=filled_quantity)
