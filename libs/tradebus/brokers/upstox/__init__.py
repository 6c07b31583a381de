"""Upstox: own reader of its protobuf feed, sockets and REST (through the official SDK) behind the ports."""

from tradebus.brokers.upstox.account import UpstoxAccount
from tradebus.brokers.upstox.client import UpstoxClient
from tradebus.brokers.upstox.decoder import UpstoxDecoder
from tradebus.brokers.upstox.feed import UpstoxFeed
from tradebus.brokers.upstox.instruments import parse_instruments
from tradebus.brokers.upstox.order_updates import UpstoxOrderUpdates
from tradebus.brokers.upstox.orders import UpstoxOrders
from tradebus.brokers.upstox.reference import UpstoxReference
from tradebus.brokers.upstox.session import UpstoxSession
from tradebus.brokers.upstox.settings import UpstoxEndpoints, UpstoxSettings
from tradebus.brokers.upstox.words import status_of

__all__ = [
    "UpstoxAccount",
    "UpstoxClient",
    "UpstoxDecoder",
    "UpstoxEndpoints",
    "UpstoxFeed",
    "UpstoxOrderUpdates",
    "UpstoxOrders",
    "UpstoxReference",
    "UpstoxSession",
    "UpstoxSettings",
    "parse_instruments",
    "status_of",
]
