"""A day's loss has a limit in R: there is no live trading without."""

from tradebus.preflight.gate import Facts, GateAnswer


async def ask(facts: Facts) -> GateAnswer:
    limit = facts.daily_max_loss_r
    if limit is None:
        return GateAnswer(
            "a day's loss has no limit in R",
            "give the session the limit daily_max_loss_r, or set DAILY_MAX_LOSS_R for all",
        )
    return GateAnswer(f"a day ends at -{limit:g} R")
