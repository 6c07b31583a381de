"""What a position or order needs: simple percentages in SPAN's place.

share, intraday    a fifth of its price      share, delivery    all of it
future             a share of yesterday's price: 12 % index, 20 % stock
option bought      its premium               option sold        the same share of the underlying, less what hedges it
"""

from collections.abc import Sequence

import numpy as np

from services.sandbox.domain.accounts.account import Rates
from services.sandbox.domain.accounts.hedges import HedgedSet, OptionLeg, hedged_set_of
from services.sandbox.domain.instruments.shape import Ints, ListingKind, kind_of
from services.sandbox.domain.instruments.underlyings import underlyings
from services.sandbox.ports import SandboxInstrument
from tradebus.trading.orders import Product

_INDEX_SHARE, _STOCK_SHARE, _INTRADAY_SHARE = 0.12, 0.20, 0.20
_INDEX_EXPOSURE_SHARE, _STOCK_EXPOSURE_SHARE = 0.02, 0.035


class MarginRates:
    """Rates by instrument. They rest on yesterday's closes, so they stand still during a day."""

    def __init__(self, instruments: Sequence[SandboxInstrument]) -> None:
        self._kinds = [kind_of(one) for one in instruments]
        indices = {index.name for index in underlyings().indices}
        self._instruments = instruments
        of_index = [one.key.name in indices for one in instruments]
        self._shares = [_INDEX_SHARE if one else _STOCK_SHARE for one in of_index]
        self._exposures = [_INDEX_EXPOSURE_SHARE if one else _STOCK_EXPOSURE_SHARE for one in of_index]
        self._reference: Ints = np.zeros(len(instruments), np.int64)

    def begin_day(self, reference_paise: Ints) -> None:
        """`reference_paise` [instruments]: yesterday's close of a future, the underlying's value of an option."""
        self._reference = reference_paise

    def rates(self, instrument: int, product: Product) -> Rates:
        """Margin per unit and per rupee of price."""
        kind, fixed = self._kinds[instrument], int(self._reference[instrument] * self._shares[instrument])
        if kind is ListingKind.FUTURE:
            return Rates(0.0, fixed, fixed)
        if kind is ListingKind.OPTION:
            return Rates(1.0, 0, fixed)
        if product is Product.DELIVERY:
            return Rates(1.0, 0, 0)
        return Rates(_INTRADAY_SHARE, 0, int(self._reference[instrument] * _INTRADAY_SHARE))

    def hedged_set(self, instrument: int, product: Product) -> HedgedSet | None:
        """What an option may hedge or be hedged by; None for what is no option."""
        return hedged_set_of(self._instruments[instrument], product)

    def leg(self, instrument: int, *, bought: int, sold: int, sold_paise: int) -> OptionLeg:
        """An option in its set."""
        key = self._instruments[instrument].key
        assert key.strike_paise is not None
        assert key.right is not None
        exposure_paise = int(self._reference[instrument] * self._exposures[instrument])
        return OptionLeg(key.strike_paise, key.right, bought, sold, sold_paise, exposure_paise)
