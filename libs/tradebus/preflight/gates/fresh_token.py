"""The broker takes the token, and goes on taking it for the day."""

import base64
import json
from datetime import time

from tradebus.brokers.account import SessionState
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_datetime, ist_to_ns
from tradebus.preflight.gate import Facts, GateAnswer

_MARKET_CLOSES = time(15, 40)


async def ask(facts: Facts) -> GateAnswer:
    log_in = f"log in: `tradebus login --broker {facts.name} --credential {facts.credential_name}`"
    state = await facts.broker.session.check()
    if state is SessionState.EXPIRED:
        return GateAnswer("the broker does not take it", log_in)
    if state is SessionState.UNKNOWN:
        return GateAnswer("the broker does not answer", "try again, and look whether it has an outage")
    ends_ns, now_ns = _ends_ns(facts.credential.access_token), facts.timers.now_ns()
    if ends_ns is not None and ends_ns < max(now_ns, ist_to_ns(ist_date(now_ns), _MARKET_CLOSES)):
        return GateAnswer(f"it ends at {ist_datetime(ends_ns):%d.%m. %H:%M} IST, before the market closes", log_in)
    return GateAnswer("the broker takes it")


def _ends_ns(token: str) -> int | None:
    """When a token ends that says so itself (a JWT), None for any other."""
    parts = token.split(".")
    if len(parts) != len(("header", "payload", "signature")):
        return None
    try:
        said = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return int(said["exp"]) * NANOSECONDS_PER_SECOND
    except (ValueError, KeyError, TypeError):
        return None
