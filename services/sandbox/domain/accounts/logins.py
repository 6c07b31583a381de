"""Tokens: whose, at which broker, until when. A token is a pure function of seed, broker, account and its number."""

from datetime import time, timedelta

from services.sandbox.ports import BrokerName, Token, TokenProblem
from tradebus.kernel.rng import seed_for
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_to_ns

_DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
_ENDS_AT = {BrokerName.KITE: time(6, 0), BrokerName.UPSTOX: time(3, 30)}  # of the next morning; Dhan: after 24 hours


def token_end_ns(broker: BrokerName, now_ns: int) -> int:
    """When a token made now stops working."""
    at = _ENDS_AT.get(broker)
    if at is None:
        return now_ns + _DAY_NS
    today = ist_to_ns(ist_date(now_ns), at)
    return today if now_ns < today else ist_to_ns(ist_date(now_ns) + timedelta(days=1), at)


class TokenRegister:
    """Every token ever given out, so that an expired one is told from an unknown one."""

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self._tokens: dict[str, Token] = {}

    def login(self, broker: BrokerName, account: str, now_ns: int) -> Token:
        """A new token."""
        parts = [seed_for(self._seed, broker, account, len(self._tokens), part) for part in range(3)]
        value = "".join(f"{part:016x}" for part in parts)
        token = Token(value, broker, account, token_end_ns(broker, now_ns))
        self._tokens[value] = token
        return token

    def log_out(self, value: str) -> None:
        """From now on it is unknown."""
        self._tokens.pop(value, None)

    def authorise(self, broker: BrokerName, value: str | None, now_ns: int) -> Token | TokenProblem:
        """Who comes with this token."""
        if not value:
            return TokenProblem.MISSING
        token = self._tokens.get(value)
        if token is None or token.broker is not broker:
            return TokenProblem.UNKNOWN
        return token if now_ns < token.expires_ns else TokenProblem.EXPIRED
