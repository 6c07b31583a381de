"""What may go wrong in a call to a broker, by what the caller should do about it.

Order placement does not use these: its three outcomes are values (tradebus.brokers.ports.Outcome).
"""

from tradebus.kernel.errors import TradebusError


class BrokerError(TradebusError):
    """`broker` and a text without any secret: what was asked, what came, what to do."""

    def __init__(self, broker: str, text: str) -> None:
        super().__init__(f"{broker}: {text}")
        self.broker = broker


class Refused(BrokerError):
    """The broker understood and said no; asking again gives the same answer."""


class Throttled(BrokerError):
    """429 after the last attempt."""


class TokenExpired(BrokerError):
    """401 or 403, also after one refresh: a login is needed, nothing else will help."""


class NoAnswer(BrokerError):
    """Timeout, dropped connection, 5xx: whether the broker did anything is not known."""

    exit_code = 3


class Malformed(BrokerError):
    """An answer that is not what the broker documents: HTML, empty, cut short, of other types."""
