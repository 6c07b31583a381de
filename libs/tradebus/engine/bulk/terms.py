"""What a session may ask of bulk mode, and its terms as the kernels read them."""

import numpy as np
import numpy.typing as npt

from tradebus.calendar import Contract
from tradebus.contracts.sessions import RiskLimits, SessionSpec, Sizing, SizingMode
from tradebus.contracts.signals import Side
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.trading.size.margin import margin_paise
from tradebus.trading.size.sizing import leveraged_paise, millionths

_MILLIONTHS = 1_000_000
# Limits that need every tick of a session, or more than one: the engine's alone.
ENGINE_ONLY = (
    "daily_max_loss_paise", "daily_max_loss_pct", "daily_max_loss_r", "symbol_max_loss_paise", "max_exposure_paise",
    "max_margin_paise", "order_min_interval_ms", "max_orders_per_minute", "max_slippage_bps",
    "max_price_distance_pct", "max_data_age_seconds",
)  # fmt: skip


def bulk_terms(spec: SessionSpec, contract: Contract) -> npt.NDArray[np.int64]:
    """The terms of one session with one strategy and symbol. Raises InvalidInput naming everything that bulk mode has
    no form of."""
    problems = [*_limit_problems(spec.limits), *_session_problems(spec)]
    sizing = spec.strategies[0].sizing or spec.sizing or Sizing()
    if sizing.mode not in (SizingMode.FIXED_LOTS, SizingMode.RISK_PER_TRADE) or sizing.by_score or sizing.of_equity:
        problems.append("sizing: fixed lots, or a risk per trade of the capital, without score and equity")
    one_lot = sizing.mode is SizingMode.FIXED_LOTS and sizing.lots == 1
    if not one_lot and spec.limits.max_lots_per_trade != 1 and spec.paper.partial_fill_probability > 0:
        problems.append("partial fills: of more than one lot, orders would have to fill in one piece")
    if spec.paper.is_conservative:
        problems.append('fills: bulk mode has the model "touch" alone')
    if problems:
        raise InvalidInput("bulk mode: " + "; ".join(problems))
    limits, paper, capital = spec.limits, spec.paper, spec.capital_paise
    return np.array(
        [
            paper.latency_ms * 1_000_000, round(paper.slippage_bps * 100), round(limits.max_slippage_pct * 10_000),
            limits.order_timeout_seconds * NANOSECONDS_PER_SECOND, limits.cooldown_seconds * NANOSECONDS_PER_SECOND,
            limits.max_trades_per_symbol_per_day, limits.consecutive_losses_limit or 0,
            (sizing.lots or 0) if sizing.mode is SizingMode.FIXED_LOTS else 0,
            capital * millionths(limits.risk_per_trade_pct) // (100 * _MILLIONTHS),
            leveraged_paise(capital, limits.max_leverage),
            leveraged_paise(capital, limits.max_leverage, limits.max_exposure_pct), capital,
            margin_paise(contract, Side.LONG, price_paise=100), limits.max_lots_per_trade or 0,
        ],
        np.int64,
    )  # fmt: skip


def _limit_problems(limits: RiskLimits) -> list[str]:
    asked = [name for name in ENGINE_ONLY if getattr(limits, name) is not None]
    return [f"limit {name}: the engine's alone; leave it out, or give null" for name in asked]


def _session_problems(spec: SessionSpec) -> list[str]:
    problems = []
    if len(spec.strategies) != 1 or len(spec.symbols) != 1:
        problems.append("one strategy and one symbol")
    own = spec.strategies[0]
    parts = {
        "trailing": spec.trailing or own.trailing, "schedule": spec.schedule, "approval_seconds": spec.approval_seconds,
        "protection": spec.protection, "limits of a strategy": own.limits, "budget of a strategy": own.budget_paise,
    }  # fmt: skip
    problems += [f"{name}: the engine's alone" for name, value in parts.items() if value is not None]
    return problems
