"""What was measured, as rows: milliseconds without and with the fault, their ratio, and the verdict.

`again` is the ratio between the two halves of what was measured without the fault: what the machine alone makes of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from services.cli.bench.accounts.standing import DELAY_SECONDS, HANGING, OTHERS
from services.cli.bench.accounts.trading import Latencies

RATIO_MAX, KILL_MS_MAX = 1.2, 100.0


def figures(
    trading: Mapping[bool, list[Latencies]], starts: Mapping[bool, list[list[int]]], kills: list[dict[str, int]]
) -> dict[str, Any]:
    """A row for each figure, and whether all are within bounds. Latencies by whether the face hung, in ns."""
    rows = {
        **_rows("entry", {hang: [one.entries for one in trading[hang]] for hang in trading}),
        **_rows("exit", {hang: [one.exits for one in trading[hang]] for hang in trading}),
        **_rows("start", starts),
    }
    worst_ms = {account: max(one[account] for one in kills) / 1e6 for account in sorted(kills[0])}
    beyond = [f"{name} {row['ratio']:.2f}" for name, row in rows.items() if row["ratio"] > RATIO_MAX]
    beyond += [f"kill {account} {ms:.0f} ms" for account, ms in worst_ms.items() if ms > KILL_MS_MAX]
    return {
        "hanging": f"{HANGING}, {DELAY_SECONDS:g} s on every request; measured are {' and '.join(OTHERS)}",
        **rows,
        "kill_to_sender_worst_ms": worst_ms,
        "verdict": f"beyond: {', '.join(beyond)}" if beyond else "ok",
    }


def _rows(name: str, found: Mapping[bool, Sequence[Sequence[int]]]) -> dict[str, dict[str, float]]:
    """`found` has the latencies of each block."""
    without, hanging = _together(found[False]), _together(found[True])
    halves = _together(found[False][::2]), _together(found[False][1::2])
    rows = {}
    for share in (50, 99):
        first, second = (float(np.percentile(half, share)) for half in halves)
        before_ms, with_ms = (float(np.percentile(one, share)) / 1e6 for one in (without, hanging))
        rows[f"{name}_p{share}_ms"] = {
            "without": before_ms, "with": with_ms, "ratio": with_ms / before_ms,
            "again": max(first, second) / min(first, second), "count": len(hanging),
        }  # fmt: skip
    return rows


def _together(blocks: Sequence[Sequence[int]]) -> list[int]:
    return [one for each in blocks for one in each]
