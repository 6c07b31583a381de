"""What `tradebus kill` does: the switch in every way that answers, and every broker account flat.

file ─► Postgres, Redis ─┬─► execution answers: it closes, this looks at the brokers until they are flat
                         └─► it does not: the accounts are closed out from here
"""

import asyncio

from services.cli.killing.closing import close_out
from services.cli.killing.report import AccountOutcome, show
from services.cli.killing.switch import engage_switch, reset_switches, targets
from services.cli.place import state_dir
from tradebus.brokers.registry import OpenBroker, open_broker
from tradebus.kernel.errors import InvalidInput, TradebusError, Unavailable
from tradebus.runtime.logs import configure_logs

SECONDS = 60.0


class NotFlat(TradebusError):
    """An account holds something of ours still, or nobody knows."""


class NotSwitchedOff(TradebusError):
    """A broker's own kill switch was asked for and is not engaged."""


async def run_kill(
    *, reason: str, reset: bool, stack: str | None, everything: bool, at_broker: bool, seconds: float, json: bool,
    open_with: OpenBroker = open_broker,
) -> None:  # fmt: skip
    """Prints what was reached and how every account stands. Raises Unavailable where the switch was reached in no way,
    NotFlat where an account is not flat, NotSwitchedOff where a broker's own switch was asked for and is not engaged,
    InvalidInput for a reason that is no line, or for a release at brokers."""
    if at_broker and reset:
        raise InvalidInput("--at-broker: a person releases the broker's own switch, at the broker")
    if not reason.strip() or len(reason) > 200 or not reason.isprintable():
        raise InvalidInput("--reason: write one line of at most 200 characters")
    configure_logs("tradebus", level="error")
    chosen = targets(stack, state=state_dir())
    accounts: list[AccountOutcome] = []
    if reset:
        results = await reset_switches(chosen, reason)
    else:
        engaged, accounts = await asyncio.gather(
            asyncio.gather(*(engage_switch(one, reason) for one in chosen)),
            close_out(chosen, everything=everything, at_broker=at_broker, seconds=seconds, open_with=open_with),
        )
        results = list(engaged)
    show(results, accounts, reason=reason, reset=reset, json=json)
    if not any(result.reached for result in results):
        raise Unavailable("the kill switch could not be reached in any way; see the lines above")
    if not all(one.flat for one in accounts):
        unsure = "; ".join(f"{one.account}: {one.problem or 'not flat in time'}" for one in accounts if not one.flat)
        raise NotFlat(f"NOT FLAT: {unsure}. Run `tradebus kill` again, or close it at the broker's terminal")
    refused = "; ".join(f"{one.account}: {one.at_broker}" for one in accounts if one.at_broker)
    if refused:
        raise NotSwitchedOff(f"every account is flat, but not every broker's own switch is engaged: {refused}")
