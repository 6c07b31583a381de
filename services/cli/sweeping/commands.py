"""What `tradebus sweep` and `tradebus walkforward` do once their options are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from json import dumps as json_of
from pathlib import Path
from typing import Any

import numpy as np

from services.cli.output import print_json, say
from services.cli.sweeping.honesty import honesty_of
from services.cli.sweeping.inputs import SweepRequest
from services.cli.sweeping.run import SweepOutcome, sweep
from services.cli.sweeping.showing import check_table, rows_of, table_lines, write_heat_map, write_table
from tradebus.config.settings import default_state_dir
from tradebus.kernel.money import format_rupees
from tradebus.performance.daily import DAYS_PER_YEAR
from tradebus.performance.folds import FoldOutcome, judge_folds, walk_forward_folds
from tradebus.performance.resampling import QUANTILES, Resampled, shuffled, skipped


@dataclass(frozen=True, slots=True)
class Showing:
    """Where results go. `resample`: runs of Monte-Carlo of the best set, 0 for none, missing that share of trades."""

    top: int
    table: Path | None
    page: Path | None
    resample: int
    missed: float
    json: bool


def run_sweep(request: SweepRequest, showing: Showing, *, afresh: bool) -> None:
    """Prints the best sets and what they are worth. Raises InvalidInput before anything is computed."""
    check_table(showing.table)
    outcome = sweep(request, state_dir=default_state_dir(), afresh=afresh)
    rows = rows_of(request.points, outcome.swept)
    honesty = honesty_of(request.points, outcome.swept, trials=outcome.trials)
    title = _title(request, outcome)
    if showing.table is not None:
        write_table(rows, showing.table)
        say(f"table: {showing.table}")
    if showing.page is not None:
        write_heat_map(rows, request.points, showing.page, title=title, lines=honesty.lines())
        say(f"report: {showing.page}")
    resampled = _resampled(request, outcome, rows[0], showing) if showing.resample else {}
    if outcome.combinations_per_second:
        say(f"{outcome.combinations_per_second / 1e6:,.0f} million bars times sets a second")
    if showing.json:
        print_json(
            {
                "command": "sweep", "strategy": request.strategy, "symbol": outcome.run.market.instrument.symbol,
                "days": len(outcome.run.market.days), "bars": outcome.run.market.traded_bars, "sets": len(rows),
                "best": rows[: showing.top], "honesty": honesty.as_json(),
                "resampled": {name: _resampled_json(one) for name, one in resampled.items()},
                "bar_sets_per_second": round(outcome.combinations_per_second),
            }
        )  # fmt: skip
        return
    print(title)
    for line in (*table_lines(rows, request.points, top=showing.top), *honesty.lines()):
        print(line)
    for name, one in resampled.items():
        print(_resampled_line(name, one))
    print(f"the best alone: {_backtest_line(request, rows[0])}")


def run_walkforward(
    request: SweepRequest, *, folds: int, embargo_days: int, anchored: bool, afresh: bool, json: bool
) -> None:
    """Sweeps (or reads what was swept) and judges each fold's choice on the days after it."""
    outcome = sweep(request, state_dir=default_state_dir(), afresh=afresh)
    profits = outcome.swept.daily_paise.T
    cut = walk_forward_folds(len(profits), folds=folds, embargo_days=embargo_days, anchored=anchored)
    judged = judge_folds(profits, cut)
    found = [_fold_json(one, outcome, request.points, profits) for one in judged]
    kept = np.concatenate([profits[slice(*one.fold.test), one.chosen] for one in judged])
    total = {"out_of_sample_paise": int(kept.sum()), "out_of_sample_sharpe": _yearly(kept)}
    if json:
        print_json({"command": "walkforward", "strategy": request.strategy, "folds": found, **total})
        return
    print(f"{_title(request, outcome)} · walk-forward, {folds} folds, embargo {embargo_days} days")
    for one in found:
        chosen = ", ".join(f"{name}={value}" for name, value in one["chosen"].items())
        print(
            f"{one['test_from']} to {one['test_to']}: {chosen} · Sharpe {one['inside_sharpe']:.2f} before, "
            f"{one['outside_sharpe']:.2f} after · {format_rupees(one['outside_paise'])} · better than "
            f"{one['rank']:.0%} of the sets"
        )
    sharpe = total["out_of_sample_sharpe"]
    print(f"out of sample together: {format_rupees(int(kept.sum()))}, Sharpe {sharpe:.2f} a year")


def _fold_json(
    one: FoldOutcome, outcome: SweepOutcome, points: Sequence[dict[str, Any]], profits: Any
) -> dict[str, Any]:
    days, (first, end), scale = outcome.run.market.days, one.fold.test, DAYS_PER_YEAR**0.5
    return {
        "train_from": days[one.fold.train[0]].isoformat(), "train_to": days[one.fold.train[1] - 1].isoformat(),
        "test_from": days[first].isoformat(), "test_to": days[end - 1].isoformat(), "chosen": points[one.chosen],
        "inside_sharpe": one.inside * scale, "outside_sharpe": one.outside * scale, "rank": one.rank,
        "inside_paise": int(profits[slice(*one.fold.train), one.chosen].sum()),
        "outside_paise": int(profits[first:end, one.chosen].sum()),
    }  # fmt: skip


def _yearly(profits: Any) -> float:
    deviation = float(profits.std(ddof=1))
    return float(profits.mean()) / deviation * DAYS_PER_YEAR**0.5 if deviation else 0.0


def _title(request: SweepRequest, outcome: SweepOutcome) -> str:
    days = outcome.run.market.days
    return (
        f"{request.strategy} on {outcome.run.market.instrument.symbol} · {days[0]} to {days[-1]} · "
        f"{len(request.points):,} sets"
    )


def _resampled(
    request: SweepRequest, outcome: SweepOutcome, best: dict[str, Any], showing: Showing
) -> dict[str, Resampled]:
    """Of the trades of the best set, another order and some of them missed; nothing where it has none."""
    given = {name: best[name] for name in request.points[0]}
    net = outcome.run.run(outcome.run.parameters(given)).rows()["net_pnl_paise"]
    if not len(net):
        return {}
    missed = skipped(net, missed=showing.missed, runs=showing.resample, seed=request.seed)
    return {
        "other orders": shuffled(net, runs=showing.resample, seed=request.seed),
        f"{showing.missed:.0%} missed": missed,
    }


def _resampled_json(one: Resampled) -> dict[str, Any]:
    return {
        "runs": one.runs, "quantiles": QUANTILES, "net_paise": one.net_paise, "drawdown_paise": one.drawdown_paise,
        "losing": one.losing,
    }  # fmt: skip


def _resampled_line(name: str, one: Resampled) -> str:
    net, fall = one.net_paise, one.drawdown_paise
    return (
        f"{name}, {one.runs:,} times: net {format_rupees(net[0])} to {format_rupees(net[-1])}, deepest fall "
        f"{format_rupees(fall[0])} to {format_rupees(fall[-1])} (of 9 in 10), {one.losing:.0%} lose"
    )


def _backtest_line(request: SweepRequest, best: dict[str, Any]) -> str:
    """The command that makes the same trades in the engine, one by one."""
    parts = ["tradebus backtest --fills touch", f"--history {request.history}"]
    parts += [f"--symbol {','.join(request.symbols)}"] if request.symbols else []
    parts += [f"--from {request.from_date}"] if request.from_date is not None else []
    parts += [f"--to {request.to_date}"] if request.to_date is not None else []
    parts += [f"--strategy {request.strategy}", f"--capital {request.data['capital']}", f"--seed {request.seed}"]
    parts += [f"--charges {request.data['paper']['charges']}"] if "charges" in request.data["paper"] else []
    parts += [f"--param {name}={_written(best[name])}" for name in request.points[0]]
    parts += [f"--limit {name}={_written(value)}" for name, value in request.data["limits"].items()]
    return " ".join(parts)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json_of(value)
