"""Two runs beside each other: what went in differently first, then the figures, then the trades that differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.cli.recorded.folder import RecordedRun
from services.cli.recorded.inputs import flat
from services.cli.recorded.saving import page_facts
from services.cli.reports.page.facts import PageFacts

_FIGURES: Final = (
    "decisions", "signals", "approvals", "reductions", "blocks", "halts", "orders", "fills", "trades", "winners",
    "gross_pnl", "charges", "net_pnl",
)  # fmt: skip
_TRADE: Final = ("entry_quantity", "entry_value_paise", "exit_quantity", "exit_value_paise", "charges_paise",
                 "net_pnl_paise", "exit_reason", "closed_ns")  # fmt: skip
TradeKey = tuple[str, str, str, str, int]  # user, strategy, symbol, side, when opened


@dataclass(frozen=True, slots=True)
class RunComparison:
    """`inputs` and `figures` by name, the first run's and the second's; None where a run has none. `trades` that
    differ: their key, the first run's and the second's, None where only the other one has it."""

    runs: tuple[RecordedRun, RecordedRun]
    pages: tuple[PageFacts, PageFacts]
    inputs: dict[str, tuple[Any, Any]]
    figures: dict[str, tuple[Any, Any]]
    trades_alike: int
    trades: Sequence[tuple[TradeKey, Mapping[str, Any] | None, Mapping[str, Any] | None]]
    same_decisions: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "command": "compare",
            "runs": [run.number for run in self.runs],
            "same_decisions": self.same_decisions,
            "inputs_differ": {name: list(values) for name, values in self.inputs.items()},
            "figures": {name: list(values) for name, values in self.figures.items()},
            "trades_alike": self.trades_alike,
            "trades_differ": len(self.trades),
            "first_differing_trades": [
                {"user_id": key[0], "strategy": key[1], "symbol": key[2], "side": key[3], "opened_ns": key[4],
                 "of": [one and {name: one[name] for name in _TRADE} for one in (first, second)]}
                for key, first, second in self.trades[:50]
            ],
        }  # fmt: skip


def compared(first: RecordedRun, second: RecordedRun) -> RunComparison:
    """Raises InvalidInput where one of them cannot be read."""
    pages = page_facts(first), page_facts(second)
    ours, theirs = flat(first.inputs), flat(second.inputs)
    names = sorted({*ours, *theirs})
    alike, trades = _differing(_by_key(pages[0].trades), _by_key(pages[1].trades))
    mine, other = first.figures, second.figures
    figures = {name: (mine.get(name), other.get(name)) for name in _FIGURES}
    daily = pages[0].daily, pages[1].daily
    figures |= {
        name: (getattr(daily[0], name), getattr(daily[1], name))
        for name in ("total_return", "cagr", "sharpe", "sortino", "max_drawdown")
    }
    return RunComparison(
        runs=(first, second),
        pages=pages,
        inputs={name: (ours.get(name), theirs.get(name)) for name in names if ours.get(name) != theirs.get(name)},
        figures=figures,
        trades_alike=alike,
        trades=trades,
        same_decisions=mine.get("decision_log_hash") == other.get("decision_log_hash"),
    )


def _by_key(trades: Sequence[Mapping[str, Any]]) -> dict[TradeKey, Mapping[str, Any]]:
    return {(one["user_id"], one["strategy"], one["symbol"], one["side"], one["opened_ns"] or 0): one for one in trades}


def _differing(
    ours: Mapping[TradeKey, Mapping[str, Any]], theirs: Mapping[TradeKey, Mapping[str, Any]]
) -> tuple[int, list[tuple[TradeKey, Mapping[str, Any] | None, Mapping[str, Any] | None]]]:
    """How many are alike, and those that are not, by when they were opened."""
    alike, found = 0, []
    for key in sorted({*ours, *theirs}, key=lambda one: (one[4], *one[:4])):
        first, second = ours.get(key), theirs.get(key)
        if first and second and all(first[name] == second[name] for name in _TRADE):
            alike += 1
        else:
            found.append((key, first, second))
    return alike, found
