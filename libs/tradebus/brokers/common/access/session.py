"""Logins in a browser: whether one still holds, and what the browser brought back."""

from collections.abc import Awaitable
from urllib.parse import parse_qs, urlsplit

from tradebus.brokers.account import SessionState
from tradebus.brokers.common.access.login import LoginClient
from tradebus.brokers.errors import BrokerError, TokenExpired


async def state_of(client: LoginClient, profile: Awaitable[str]) -> tuple[SessionState, str]:
    """By asking for the profile, and whose it is, "" where nobody says; calls that were halted go on where it is
    told."""
    try:
        account = await profile
    except TokenExpired:
        return SessionState.EXPIRED, ""
    except BrokerError:
        return SessionState.UNKNOWN, ""
    if client.calls.halted is not None:
        client.calls.renewed()
    return SessionState.VALID, account


def brought_back(answer: str, name: str) -> str:
    """The parameter `name` of the address the browser was sent back to; the answer itself where it is no address."""
    answer = answer.strip()
    if f"{name}=" not in answer:
        return answer
    return parse_qs(urlsplit(answer).query or answer).get(name, [""])[0]
