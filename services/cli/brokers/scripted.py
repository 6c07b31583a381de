"""A login without a browser, where the broker lets its user have one: a stored PIN and authenticator seed, or a token
that is made anew from one that still lives. That is Dhan alone: Zerodha and Upstox want a person at their page.
"""

import re
from dataclasses import replace

from tradebus.brokers.common.access.totp import read_seed, totp_of
from tradebus.brokers.credentials import Credential
from tradebus.brokers.registry import Broker
from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import InvalidInput

_WITH_NUMBERS = frozenset({"dhan"})
_PIN = re.compile(r"\d{4,8}")


def check_scripted(broker: str, *, option: str) -> None:
    """Raises InvalidInput where the broker has no such login."""
    if broker not in _WITH_NUMBERS:
        raise InvalidInput(f"{option}: {broker} wants a person at its page; log in without it, or with --callback-port")


def with_numbers(credential: Credential, text: str) -> Credential:
    """The login with the PIN and the seed of a file: two words. Raises InvalidInput, which repeats neither."""
    pin, _, seed = text.partition("\n") if "\n" in text else text.partition(" ")
    if not _PIN.fullmatch(pin.strip()):
        raise InvalidInput("--totp-file: the first line must be the PIN, four to eight digits, the next the seed")
    read_seed(seed)
    return replace(credential, pin=pin.strip(), totp_seed=seed.strip())


def numbers(credential: Credential, *, name: str) -> str:
    """What `complete_login` takes of them now. Raises InvalidInput where none are stored."""
    if not (credential.pin and credential.totp_seed):
        raise InvalidInput(f"--totp: no PIN and seed are stored for {name}; give them once with --totp-file")
    return f"{credential.pin}:{totp_of(credential.totp_seed, at_ns=WallClock().now_ns())}"


async def renewed(broker: Broker, credential: Credential, *, name: str) -> Credential:
    """With a new token for the one that is stored. Raises BrokerError, and InvalidInput where none is stored."""
    renew = getattr(broker.session, "renew", None)
    if renew is None or not credential.access_token:
        raise InvalidInput(f"--renew: no token is stored for {name}: log in first")
    return credential.renewed(str(await renew()))
