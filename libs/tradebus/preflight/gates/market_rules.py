"""A person knows of the rules in force that may still change, or that nobody has looked at, and has taken them."""

from tradebus.calendar.review import review
from tradebus.kernel.time import ist_date
from tradebus.preflight.accepted_rules import AcceptedRules
from tradebus.preflight.gate import Facts, GateAnswer

_TOLD_MAX, _ABOUT_MAX = 2, 40


async def ask(facts: Facts) -> GateAnswer:
    day = ist_date(facts.clock.now_ns())
    remarks = review(day)
    left = AcceptedRules(facts.state_dir).left(remarks, day=day)
    if left:
        told = "; ".join(f"{remark.about[:_ABOUT_MAX]} ({remark.kind})" for remark in left[:_TOLD_MAX])
        more = f" and {len(left) - _TOLD_MAX} more" if len(left) > _TOLD_MAX else ""
        return GateAnswer(
            f"not accepted yet: {told}{more}",
            "correct in TRADEBUS_MARKET_RULES what is wrong, then `tradebus preflight --accept-market-rules`",
        )
    return GateAnswer(f"{len(remarks)} remarks, all accepted" if remarks else "nothing to remark")
