"""A trade and its orders, as working state. The lifecycle module moves it; the ledger stores it."""

from dataclasses import dataclass, field

from tradebus.calendar import Contract
from tradebus.contracts.orders import OrderRole, OrderType, Tariff, Transaction
from tradebus.contracts.sessions import ProtectionKind, Trailing
from tradebus.contracts.signals import Side
from tradebus.execution.leaving.pricing import Touch
from tradebus.execution.step import Modify
from tradebus.kernel.money import largest
from tradebus.trading.metrics import r_metrics
from tradebus.trading.states import TERMINAL_ORDER_STATES, TERMINAL_TRADE_STATES, OrderState, TradeState


@dataclass(slots=True)
class Order:
    """One order at the broker. Values are Σ quantity × price in paise: exact, where an average is not."""

    order_id: str
    tag: str
    role: OrderRole
    sequence: int
    transaction: Transaction
    order_type: OrderType
    quantity: int
    price_paise: int | None
    trigger_paise: int | None
    state: OrderState
    placed_ns: int
    updated_ns: int
    broker_order_id: str | None = None
    filled_quantity: int = 0
    filled_value_paise: int = 0
    reason: str | None = None
    moves: int = 0  # changes that a broker was asked for, of whatever kind
    # What another life finds out anew is not kept.
    given_up: bool = False  # a stop whose answer nobody waits for any more
    changes: int = 0  # of an exit's price in this life: how far it reaches
    refusals: int = 0  # in a row, of the change that makes a stop the exit
    is_moving: bool = False  # a stop that was to move as it trails, and nobody knows yet whether it did
    move_lost: Modify | None = None  # that move, where its answer did not come
    rests_at_paise: int | None = None  # the trigger that the broker has confirmed last
    hit_ns: int | None = None  # since when the broker calls a stop open that was to wait for its trigger

    @property
    def ended(self) -> bool:
        return self.state in TERMINAL_ORDER_STATES

    @property
    def is_turned(self) -> bool:
        """Whether it is a stop that was made the exit: it has no trigger any more."""
        return self.role is OrderRole.STOP and self.trigger_paise is None

    @property
    def is_standing(self) -> bool:
        """Whether it is the broker's own trigger, with a target beside it: it is cancelled, never made the exit."""
        return self.order_type is OrderType.GTT

    @property
    def is_whole(self) -> bool:
        """Whether all of it has filled."""
        return self.filled_quantity >= self.quantity

    @property
    def average_price_paise(self) -> int:
        """The average fill price to the nearest paisa, 0 before the first fill."""
        return _nearest(self.filled_value_paise, self.filled_quantity)


@dataclass(slots=True)
class Trade:
    """One trade, from approval to its last word."""

    pos_id: str
    session_id: str
    user_id: str
    strategy: str
    symbol: str
    instrument: int
    contract: Contract  # its terms on the day it was taken
    side: Side
    state: TradeState
    quantity_requested: int
    expected_price_paise: int
    initial_stop_paise: int
    stop_paise: int
    target_paise: int | None
    lot_size: int
    tick_size_paise: int
    max_slippage_pct: float
    order_timeout_seconds: int
    trace_id: str
    intent_id: str
    created_ns: int
    as_of_ns: int
    owner: str
    group_id: str | None = None  # of the legs it is one of
    version: int = 0
    trade_id: int | None = None
    entry_quantity: int = 0
    entry_value_paise: int = 0
    exit_quantity: int = 0
    exit_value_paise: int = 0
    missing_quantity: int = 0  # of what is held, what the broker does not have any more: somebody closed it by hand
    charges_paise: int = 0
    highest_paise: int | None = None
    lowest_paise: int | None = None
    exit_reason: str | None = None
    opened_ns: int | None = None
    closed_ns: int | None = None
    net_pnl_paise: int | None = None
    r_multiple: float | None = None
    mae_r: float | None = None
    mfe_r: float | None = None
    orders: list[Order] = field(default_factory=list)
    fill_ids: set[str] = field(default_factory=set)
    # What another life finds out anew is not kept.
    at_broker: bool = False  # whether an exchange fills it, at a limit of its own, and not we from ticks
    touch: Touch | None = None  # the market as its last tick had it
    protection: ProtectionKind = ProtectionKind.STOP  # what its session has stand at the broker
    tariff: Tariff = Tariff.ZERODHA  # what its session pays
    is_worst_first: bool = False  # whether of stop and target in one bar it is the stop
    trailing: Trailing | None = None  # how its session has its stop follow the market
    trail_from_ns: int = 0  # before that it is not moved: others' requests go first, or a late one may come
    pressed_ns: int = 0  # when what closes it and rested was last priced anew, replaced or left as it was

    @property
    def kind(self) -> str:
        return self.contract.kind

    @property
    def ended(self) -> bool:
        return self.state in TERMINAL_TRADE_STATES

    @property
    def open_quantity(self) -> int:
        """Held now; negative when exit and stop both filled and the position is on the other side."""
        return self.entry_quantity - self.exit_quantity

    @property
    def there_quantity(self) -> int:
        """Held, and at the broker too: what can be covered, and closed."""
        return self.open_quantity - min(self.missing_quantity, max(0, self.open_quantity))

    @property
    def entry_price_paise(self) -> int:
        return _nearest(self.entry_value_paise, self.entry_quantity)

    @property
    def exit_price_paise(self) -> int:
        return _nearest(self.exit_value_paise, self.exit_quantity)

    @property
    def entry_transaction(self) -> Transaction:
        return Transaction.BUY if self.side is Side.LONG else Transaction.SELL

    @property
    def exit_transaction(self) -> Transaction:
        return Transaction.SELL if self.side is Side.LONG else Transaction.BUY

    def adverse_pct(self, price_paise: int) -> float:
        """How much worse than expected an entry at this price is, in per cent; negative where it is better."""
        return 100.0 * self.side.sign * (price_paise - self.expected_price_paise) / self.expected_price_paise

    def entry_order(self) -> Order:
        """The entry order; the first one where the quantity is more than the exchange takes in one."""
        return self.orders[0]

    def live(self, role: OrderRole) -> Order | None:
        """The first order of this role that has not ended, None where there is none. Of entries and stops there may be
        as many as their quantity needs."""
        return next(iter(self.all_live(role)), None)

    def all_live(self, role: OrderRole) -> list[Order]:
        """The orders of this role that have not ended."""
        return [order for order in self.orders if order.role is role and not order.ended]

    @property
    def order_quantity_max(self) -> int | None:
        """The most units of one order, None where there is no such rule."""
        return largest(lot_size=self.lot_size, freeze_quantity=self.contract.freeze_quantity)

    def order(self, order_id: str) -> Order:
        """The order by its id. Raises KeyError."""
        for order in self.orders:
            if order.order_id == order_id:
                return order
        raise KeyError(order_id)


def settle(trade: Trade) -> int:
    """Writes net P&L, R, MAE and MFE into a flat trade; returns the gross P&L in paise."""
    figures = r_metrics(
        side=trade.side,
        quantity=trade.entry_quantity,
        entry_value_paise=trade.entry_value_paise,
        exit_value_paise=trade.exit_value_paise,
        charges_paise=trade.charges_paise,
        initial_stop_paise=trade.initial_stop_paise,
        highest_paise=trade.highest_paise,
        lowest_paise=trade.lowest_paise,
        expected_entry_paise=trade.expected_price_paise,
    )
    trade.net_pnl_paise = figures.realised_paise
    trade.r_multiple, trade.mae_r, trade.mfe_r = figures.r_multiple, figures.mae_r, figures.mfe_r
    return figures.realised_paise + trade.charges_paise


def _nearest(value_paise: int, quantity: int) -> int:
    return (2 * value_paise + quantity) // (2 * quantity) if quantity else 0
