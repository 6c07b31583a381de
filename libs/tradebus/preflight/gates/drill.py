"""This build has passed the drill."""

from tradebus.preflight.drill_record import RUNS_MIN, read_drill
from tradebus.preflight.gate import Facts, GateAnswer


async def ask(facts: Facts) -> GateAnswer:
    again = f"run it: `tradebus drill --runs {RUNS_MIN}`"
    record = read_drill(facts.state_dir)
    if record is None:
        return GateAnswer("it was never run here", again)
    if record.version != facts.version:
        return GateAnswer(f"it was run with {record.version}, and this is {facts.version}", again)
    if not record.passed:
        return GateAnswer(f"it did not pass (seed {record.seed})", f"do not trade; {again} with --seed {record.seed}")
    if record.runs < RUNS_MIN:
        return GateAnswer(f"{record.runs} runs are too few", again)
    return GateAnswer(f"{record.runs} runs passed with {record.version} on {record.at[:10]}")
