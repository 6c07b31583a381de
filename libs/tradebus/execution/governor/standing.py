"""What of its order limits an account has used by now, as its stored budget has it. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tradebus.execution.governor.budget import read_budget
from tradebus.execution.governor.limits import OrderLimit
from tradebus.kernel.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class SpanUse:
    """`used` of the `kept` requests that may leave in the span."""

    span: str
    used: int
    kept: int


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """`messages` and `trades` are today's, those that make the order-to-trade ratio."""

    spans: Sequence[SpanUse]
    messages: int
    trades: int

    @property
    def order_to_trade_ratio(self) -> float | None:
        """None before the first trade of the day."""
        return self.messages / self.trades if self.trades else None


def standing_of(text: str, *, now_ns: int) -> BudgetStanding:
    """The budget (`OrderBudget.to_json`) as it stands then. Raises InvalidInput for anything else."""
    budget = read_budget(text)
    budget.traded(0, at_ns=now_ns)  # a day that has begun since has none
    return BudgetStanding([
        SpanUse(limit.name, budget.used(limit, "", now_ns=now_ns), limit.kept) for limit in _caps_in(text)
    ], budget.messages, budget.trades)  # fmt: skip


def _caps_in(text: str) -> list[OrderLimit]:
    try:
        stated = json.loads(text).get("caps", [])  # a version before this one wrote none
        return [OrderLimit("", "account", int(seconds), int(kept), int(kept), 0, "", "") for seconds, kept in stated]
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"order budget: its caps are none ({error!r}): delete the row") from None
