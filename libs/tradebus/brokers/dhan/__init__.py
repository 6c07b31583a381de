"""Dhan: feed and order stream on the wire, everything else through the official SDK (BROKERS 1 to 6)."""

from tradebus.brokers.dhan.account import DhanAccount
from tradebus.brokers.dhan.client import DhanClient
from tradebus.brokers.dhan.decoder import DhanDecoder
from tradebus.brokers.dhan.depth import DhanDepthDecoder
from tradebus.brokers.dhan.feed import DhanFeed
from tradebus.brokers.dhan.master import parse_instruments
from tradebus.brokers.dhan.order_rows import status_of
from tradebus.brokers.dhan.order_updates import DhanOrderUpdates
from tradebus.brokers.dhan.orders import DhanOrders
from tradebus.brokers.dhan.reference import DhanReference
from tradebus.brokers.dhan.session import DhanSession
from tradebus.brokers.dhan.settings import DhanEndpoints, DhanSettings

__all__ = [
    "DhanAccount",
    "DhanClient",
    "DhanDecoder",
    "DhanDepthDecoder",
    "DhanEndpoints",
    "DhanFeed",
    "DhanOrderUpdates",
    "DhanOrders",
    "DhanReference",
    "DhanSession",
    "DhanSettings",
    "parse_instruments",
    "status_of",
]
