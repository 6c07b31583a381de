"""Orders come from the address that is registered for them."""

import asyncio
import ipaddress
import urllib.request
from urllib.parse import urlsplit

from tradebus.brokers.common.access.addresses import is_here
from tradebus.kernel.errors import InvalidInput
from tradebus.preflight.gate import Facts, GateAnswer

_SECONDS = 5.0
_BYTES_MAX = 100


async def ask(facts: Facts) -> GateAnswer:
    stated = facts.settings.static_addresses
    if not stated:
        return GateAnswer(
            "none is stated", f"set TRADEBUS_STATIC_IP to the address that you registered at {facts.name} for orders"
        )
    outgoing = await asyncio.to_thread(outgoing_address, facts.settings.address_echo_url)
    if outgoing not in stated:
        return GateAnswer(
            f"we come from {outgoing}, and {', '.join(sorted(stated))} is stated",
            f"register {outgoing} at {facts.name} and state it in TRADEBUS_STATIC_IP, or go out by the other",
        )
    registered = await facts.broker.account.registered_addresses()
    if registered is not None and outgoing not in registered:
        return GateAnswer(
            f"{facts.name} has {', '.join(registered) or 'none'} registered, and we come from {outgoing}",
            f"register {outgoing} at {facts.name}",
        )
    return GateAnswer(f"{outgoing}, as stated" + (" and registered" if registered is not None else ""))


def outgoing_address(url: str) -> str:
    """From where we come, as the server at `url` sees it. Raises InvalidInput, and OSError where it is not there."""
    if urlsplit(url).scheme not in ("https", "http"):
        raise InvalidInput("TRADEBUS_ADDRESS_ECHO_URL: write an https:// address")
    handlers = [urllib.request.ProxyHandler({})] if is_here(url) else []
    opener = urllib.request.build_opener(*handlers)
    with opener.open(url, timeout=_SECONDS) as answer:
        text = answer.read(_BYTES_MAX).decode("ascii", "replace").strip()
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise InvalidInput(
            f"TRADEBUS_ADDRESS_ECHO_URL: {urlsplit(url).hostname} did not answer with an address alone"
        ) from None
