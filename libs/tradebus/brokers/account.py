"""A broker account's money and holdings, and its session."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.orders import Transaction
from tradebus.trading.orders import Product

# Brings the access token that is stored by now, for a call that was refused with the old one.
Refresh = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class AccountMargins:
    """Of the equity and derivatives segment, in paise."""

    available_paise: int
    used_paise: int


@dataclass(frozen=True, slots=True)
class BasketOrder:
    """An order whose margin is asked for and that is not placed. `price_paise` is its limit."""

    listing: ListedInstrument
    transaction: Transaction
    quantity: int
    price_paise: int
    product: Product


@dataclass(frozen=True, slots=True)
class NetPosition:
    """`quantity` is signed units, short below 0; money in paise. `token` and `broker_segment` as in the master."""

    token: str
    broker_segment: str
    symbol: str
    product: str
    quantity: int
    buy_quantity: int
    sell_quantity: int
    average_price_paise: int
    realised_paise: int
    unrealised_paise: int


@dataclass(frozen=True, slots=True)
class BrokerHolding:
    symbol: str
    isin: str
    quantity: int
    average_price_paise: int
    last_price_paise: int


class BrokerAccount(Protocol):
    """Raises BrokerError, and nothing else, for what broker or network may do."""

    async def margins(self) -> AccountMargins: ...

    async def basket_margin_paise(self, orders: Sequence[BasketOrder]) -> int:
        """What these orders need together once all are filled, hedges counted; what the account holds is left out."""

    async def engage_kill_switch(self) -> None:
        """Engages the broker's own kill switch of the account, which then takes no order of anybody's, exits included,
        until a person releases it there. Raises Refused where the broker offers none or has not engaged it."""

    async def kill_switch_engaged(self) -> bool | None:
        """Whether the broker's own kill switch holds up orders of the account; None where it tells of none."""

    async def positions(self) -> Sequence[NetPosition]: ...

    async def holdings(self) -> Sequence[BrokerHolding]: ...

    async def registered_addresses(self) -> Sequence[str] | None:
        """The addresses that the broker takes this account's orders from; None where it does not tell."""


class SessionState(StrEnum):
    VALID = "VALID"
    EXPIRED = "EXPIRED"  # a login is needed
    UNKNOWN = "UNKNOWN"  # nobody answered: neither


class LoginSession(Protocol):
    """The login that everything else of a broker rests on. `account` is whose it is, as the broker said when it was
    last checked; "" before."""

    account: str

    async def check(self) -> SessionState:
        """Asks the broker (profile or funds). Never raises for what broker or network may do."""

    def login_url(self, *, redirect: str = "", state: str = "") -> str | None:
        """Where the user logs in with a browser, which comes back to `redirect` with `state`, where the broker lets us
        say the one or the other (the app's registered address stands where it does not); None where the broker's
        token is made elsewhere (Dhan)."""

    async def complete_login(self, answer: str) -> str:
        """Trades the login's answer (request token, code, token id) for an access token. Raises BrokerError."""
