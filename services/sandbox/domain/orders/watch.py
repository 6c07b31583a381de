"""Which instruments' orders a batch of quotes can touch: one vectorised look instead of one per order."""

import numpy as np

from services.sandbox.domain.instruments.shape import Ints
from services.sandbox.domain.orders.book import NEVER_ABOVE, NEVER_BELOW, OrderBook


class BookWatch:
    """Per instrument the price nearest to the market at which something happens. Arrays of shape [instruments]."""

    def __init__(self, count: int) -> None:
        self._buy: Ints = np.full(count, NEVER_BELOW, np.int64)
        self._sell: Ints = np.full(count, NEVER_ABOVE, np.int64)
        self._up: Ints = np.full(count, NEVER_ABOVE, np.int64)
        self._down: Ints = np.full(count, NEVER_BELOW, np.int64)

    def set_book(self, instrument: int, book: OrderBook) -> None:
        """After any change of the book."""
        self._buy[instrument], self._sell[instrument] = book.best_buy_paise, book.best_sell_paise
        self._up[instrument], self._down[instrument] = book.next_up_paise, book.next_down_paise

    def hit(self, which: Ints, *, last: Ints, bid: Ints, ask: Ints) -> Ints:
        """Those of `which` where a stop wakes or a resting order trades."""
        found = (ask > 0) & (ask <= self._buy[which])
        found |= (bid > 0) & (bid >= self._sell[which])
        found |= (last >= self._up[which]) | (last <= self._down[which])
        return which[found]
