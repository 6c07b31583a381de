"""The login is of the account that it was stored for."""

from tradebus.brokers.account import SessionState
from tradebus.preflight.gate import Facts, GateAnswer


async def ask(facts: Facts) -> GateAnswer:
    again = f"`tradebus login --broker {facts.name} --credential {facts.credential_name}`"
    if await facts.broker.session.check() is not SessionState.VALID:
        return GateAnswer("the broker does not say whose the login is", f"log in: {again}")
    stored, whose = facts.credential.account, facts.broker.session.account
    if not stored:
        return GateAnswer(f"nobody has said whose it is; the broker says {whose}", f"store it by {again}")
    if stored != whose:
        return GateAnswer(f"it is stored as {stored}, and the token is of {whose}", f"log in as {stored}: {again}")
    return GateAnswer(f"it is {whose}, as stored")
