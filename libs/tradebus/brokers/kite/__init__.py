"""Zerodha Kite: ticker frames, order updates, and the REST API through the official SDK."""

from tradebus.brokers.kite.account import KiteAccount
from tradebus.brokers.kite.client import KiteClient
from tradebus.brokers.kite.decoder import KiteDecoder
from tradebus.brokers.kite.feed import KiteFeed
from tradebus.brokers.kite.gtt.triggers import KiteTriggers
from tradebus.brokers.kite.instruments import parse_instruments
from tradebus.brokers.kite.order_updates import KiteOrderUpdates
from tradebus.brokers.kite.orders import KiteOrders
from tradebus.brokers.kite.reference import KiteReference
from tradebus.brokers.kite.session import KiteSession
from tradebus.brokers.kite.settings import KiteEndpoints, KiteSettings
from tradebus.brokers.kite.status import status_of

__all__ = [
    "KiteAccount",
    "KiteClient",
    "KiteDecoder",
    "KiteEndpoints",
    "KiteFeed",
    "KiteOrderUpdates",
    "KiteOrders",
    "KiteReference",
    "KiteSession",
    "KiteSettings",
    "KiteTriggers",
    "parse_instruments",
    "status_of",
]
