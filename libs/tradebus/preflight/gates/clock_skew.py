"""Our clock is within half a second of the broker's."""

from tradebus.preflight.gate import Facts, GateAnswer
from tradebus.waiting.timers import sleep

_NS_MAX = 500_000_000
_LOOKS = 5
_BETWEEN_SECONDS = 0.23  # at different parts of the broker's second


async def ask(facts: Facts) -> GateAnswer:
    for number in range(_LOOKS):
        if number:
            await sleep(facts.timers, _BETWEEN_SECONDS)
        await facts.broker.session.check()
    offset = facts.broker.clock_offset()
    if offset is None:
        return GateAnswer("the broker's replies tell no time, or our clock was set just now", "try again in a minute")
    least, most = offset.least_ns / 1e6, offset.most_ns / 1e6
    said = f"the broker's clock is between {least:+.0f} and {most:+.0f} ms ahead of ours"
    if offset.surely_ns > _NS_MAX:
        return GateAnswer(said, "set this machine's clock: chrony or systemd-timesyncd, and look that it runs")
    return GateAnswer(said)
