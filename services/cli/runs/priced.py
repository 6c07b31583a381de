"""What the fill model has to know of the prices that a run goes over."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.cli.output import say
from tradebus.contracts.orders import PriceOrigin


def with_prices_of(
    users: Mapping[str, dict[str, Any]], *, is_ticks: bool, without_volume: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The users' data with it: prices of bars or ticks, with volumes or without. Says which symbols have none."""
    found: dict[str, Any] = {"prices": (PriceOrigin.TICKS if is_ticks else PriceOrigin.BARS).value}
    if without_volume:
        say(f"  no volume of {', '.join(without_volume)}: fills are not limited by what traded")
    else:
        found["volumes"] = True
    return {name: {**data, "paper": {**data.get("paper", {}), **found}} for name, data in users.items()}
