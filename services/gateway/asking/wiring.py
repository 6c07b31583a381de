"""Which desk carries out which command."""

from collections.abc import Mapping

from services.gateway.adapters.limits_desk import LimitsDesk
from services.gateway.adapters.shared_limits_desk import SharedLimitsDesk
from services.gateway.asking.answers import CommandDesk
from services.gateway.asking.approvals import ApprovalsDesk
from services.gateway.asking.book import asked_book
from services.gateway.asking.desk import OrdersDesk
from services.gateway.asking.making import SignalMaker
from services.gateway.asking.market import AskedMarket
from services.gateway.domain.body import CommandAction
from services.gateway.settings import GatewaySettings
from tradebus.bus.port import Bus
from tradebus.kernel.clock import Clock
from tradebus.store.book import Book
from tradebus.store.books import (
    SessionRegister,
    candles_book,
    instruments_book,
    limit_changes_book,
    sessions_book,
    shared_limits_book,
)


def desks_of(
    settings: GatewaySettings, *, bus: Bus, book: Book, register: SessionRegister, clock: Clock, consumer: str
) -> Mapping[CommandAction, CommandDesk]:
    """On any book and bus. `consumer` keeps in the inbox which commands were carried out."""
    market_clock, speed = settings.clock_of_market(clock)
    asked = asked_book(book)
    market = AskedMarket(bus, candles_book(book), market_clock=market_clock, machine=clock, speed=speed)
    orders = OrdersDesk(
        SignalMaker(book, register, asked, market, clock), asked, sessions_book(book), instruments_book(book),
        settings.paced,
    )  # fmt: skip
    limits = LimitsDesk(book, register, limit_changes_book(book), clock, consumer, settings.daily_max_loss_r)
    approvals = ApprovalsDesk(book, register, asked, clock, consumer)
    return {
        CommandAction.SET_LIMITS: limits, CommandAction.PLACE: orders, CommandAction.CLOSE: orders,
        CommandAction.SIGNAL: orders, CommandAction.APPROVE: approvals, CommandAction.REFUSE: approvals,
        CommandAction.SET_SHARED_LIMITS: SharedLimitsDesk(book, register, shared_limits_book(book), clock, consumer),
    }  # fmt: skip
