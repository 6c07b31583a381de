"""The broker takes the token, and goes on taking it for the day."""

from datetime import time

from tradebus.brokers.account import SessionState
from tradebus.brokers.common.access.token_end import ends_ns
from tradebus.kernel.time import ist_date, ist_datetime, ist_to_ns
from tradebus.preflight.gate import Facts, GateAnswer

_MARKET_CLOSES = time(15, 40)


async def ask(facts: Facts) -> GateAnswer:
    log_in = f"log in: `tradebus login --broker {facts.name} --credential {facts.credential_name}`"
    state = await facts.broker.session.check()
    if state is SessionState.EXPIRED:
        return GateAnswer("the broker does not take it", log_in)
    if state is SessionState.UNKNOWN:
        return GateAnswer("the broker does not answer", "try again, and look whether it has an outage")
    last_ns, now_ns = ends_ns(facts.credential.access_token), facts.timers.now_ns()
    if last_ns is not None and last_ns < max(now_ns, ist_to_ns(ist_date(now_ns), _MARKET_CLOSES)):
        return GateAnswer(f"it ends at {ist_datetime(last_ns):%d.%m. %H:%M} IST, before the market closes", log_in)
    return GateAnswer("the broker takes it")
