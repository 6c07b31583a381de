"""The broker's own profit of the day beside ours, an instrument at a time.

Both are before charges and at one price, the broker's: what is still held is marked at the price that its own
unrealised profit says. A difference is a fill that one of the two does not have, another's order in the account, or an
average that the broker rounds; the last price is none.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from fractions import Fraction

from services.execution.accounts.accounts import TradingAccount
from services.execution.books.ports import OwnBook
from services.execution.books.standings import AccountStandings
from tradebus.brokers.account import NetPosition
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_to_ns
from tradebus.kernel.timers import Timers

_EVERY_NS = 15 * NANOSECONDS_PER_SECOND


@dataclass(frozen=True, slots=True)
class InstrumentProfit:
    """Of one day, in paise. `ours_paise` None where something is held with us alone, which nobody gives a price."""

    symbol: str
    ours_paise: int | None
    brokers_paise: int


def compared(
    ours: Mapping[int, tuple[int, int]], rows: Iterable[tuple[int, NetPosition]], symbols: Mapping[int, str]
) -> list[InstrumentProfit]:
    """By instrument. `ours` is what sells brought less what buys cost, in paise, and the signed units left; `rows` are
    the broker's intraday positions with their instrument."""
    brokers: dict[int, list[NetPosition]] = {}
    for instrument, row in rows:
        brokers.setdefault(instrument, []).append(row)
    found = []
    for instrument in sorted(brokers.keys() | ours.keys()):
        lines, (cash_paise, net) = brokers.get(instrument, []), ours.get(instrument, (0, 0))
        mark = next((_mark(row) for row in lines if row.quantity), None)
        total = None if net and mark is None else cash_paise + round(net * (mark or 0))
        said = sum(row.realised_paise + row.unrealised_paise for row in lines)
        found.append(InstrumentProfit(symbols.get(instrument, str(instrument)), total, said))
    return found


def _mark(row: NetPosition) -> Fraction:
    """The price at which the broker values what is held."""
    return row.average_price_paise + Fraction(row.unrealised_paise, row.quantity)


class AccountProfits:
    """Of one account: looked at now and then, beside its positions."""

    def __init__(
        self, account: TradingAccount, own: OwnBook, standings: AccountStandings, *, market_ns: Callable[[], int],
        timers: Timers,
    ) -> None:  # fmt: skip
        self._account, self._own, self._standings, self._market_ns = account, own, standings, market_ns
        self._timers = timers
        self._looked_ns: int | None = None

    async def look(self, rows: Sequence[tuple[int, NetPosition]], symbols: Mapping[int, str]) -> None:
        """Raises what Postgres raises."""
        now_ns = self._timers.monotonic_ns()
        if self._looked_ns is not None and now_ns - self._looked_ns < _EVERY_NS:
            return
        at_ns = self._market_ns()
        broker, login = self._account.key
        ours = await self._own.traded(broker, login, since_ns=ist_to_ns(ist_date(at_ns), time()))
        found = compared(ours, rows, symbols)
        body = {
            "as_of_ns": at_ns, "brokers_paise": sum(one.brokers_paise for one in found),
            "ours_paise": sum(one.ours_paise or 0 for one in found),
            "differences": [
                {"symbol": one.symbol, "ours_paise": one.ours_paise, "brokers_paise": one.brokers_paise}
                for one in found
                if one.ours_paise != one.brokers_paise
            ],
        }  # fmt: skip
        await self._standings.note_profit(self._account.name, json.dumps(body))
        self._looked_ns = now_ns
