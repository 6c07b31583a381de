"""Orders carry a tag that the broker keeps, and come so slowly that its generic algo id is theirs.

Above ten orders a second an algo is registered with the exchange and has an id of its own, which nothing here sends.
"""

import re

from tradebus.execution.governor.limits import limits_of
from tradebus.kernel.ids import derive_tag
from tradebus.preflight.gate import Facts, GateAnswer

_UNREGISTERED_PER_SECOND_MAX = 10
# What each broker keeps of a tag.
_TAGS = {"kite": r"[0-9A-Za-z]{1,20}", "dhan": r"[0-9A-Za-z _-]{1,30}", "upstox": r"[0-9A-Za-z _-]{1,40}"}


async def ask(facts: Facts) -> GateAnswer:
    tag = derive_tag("preflight", facts.name)
    if not re.fullmatch(_TAGS[facts.name], tag):
        return GateAnswer(f"{facts.name} would not keep the tag {tag!r}", "use a release whose tags it keeps")
    kept = [limit.kept for limit in limits_of(facts.name) if limit.seconds == 1]
    if not kept or min(kept) > _UNREGISTERED_PER_SECOND_MAX:
        return GateAnswer(
            f"more than {_UNREGISTERED_PER_SECOND_MAX} orders a second may leave",
            "keep the governor's limits of one second (execution/governor/limits.json) at ten or below",
        )
    return GateAnswer(f"at most {min(kept)} orders a second, each tagged: the broker's generic algo id")
