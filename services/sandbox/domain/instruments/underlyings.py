"""The table of what a generated market lists: indices and equities, with their names at each broker."""

import json
from functools import lru_cache
from importlib.resources import files

from pydantic import Field

from tradebus.contracts.base import Model


class Index(Model):
    """An index. `derivatives` is the segment that lists its futures and options (NFO, BFO), None where none does."""

    name: str
    exchange: str
    kite_exchange_token: int
    dhan_id: int
    kite_symbol: str
    upstox_name: str
    price_rupees: float = Field(gt=0)
    annual_volatility: float = Field(gt=0)
    market_correlation: float = Field(ge=-1, le=1)
    strike_step_rupees: float
    lot_size: int
    freeze_quantity: int
    derivatives: str | None
    activity: float


class Equity(Model):
    """A stock; `lot_size` 0 means that it has no futures and options."""

    name: str
    isin: str
    nse_token: int
    bse_code: int | None
    price_rupees: float = Field(gt=0)
    annual_volatility: float = Field(gt=0)
    market_correlation: float = Field(ge=-1, le=1)
    lot_size: int
    strike_step_rupees: float


class Underlyings(Model):
    about: str
    indices: tuple[Index, ...]
    equities: tuple[Equity, ...]

    @property
    def every(self) -> tuple[Index | Equity, ...]:
        """Indices, then equities."""
        return (*self.indices, *self.equities)


@lru_cache(maxsize=1)
def underlyings() -> Underlyings:
    """The table, read once."""
    text = files("services.sandbox.domain.instruments").joinpath("underlyings.json").read_text(encoding="utf-8")
    return Underlyings.model_validate(json.loads(text))
