"""The broker's margin, asked before an entry is sent: what it has told last, less what is under way since.

    every few seconds ─► broker: margins ─► figure, with its age ─┐
    entry ─► needs (estimated) ───────────────────────────────────┴─► left after what is under way? ─► reserved, sent
                                                                                            └─► not sent: says why

A leg of a group needs what the broker's calculator says of all its legs so far, less what is kept for those before it:
so a hedge counts as the broker counts it. Where the calculator is silent, a leg needs its estimate alone.

Exits and stops are never asked about. The broker has the last word on what it was sent; this keeps entries from being
sent that it would refuse, and any from being sent while nobody knows what the account has.
"""

import asyncio
from collections.abc import Callable

import structlog

from services.execution.accounts.entering.group_margins import GroupMargins
from tradebus.brokers.account import AccountMargins, BrokerAccount
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.orders import Transaction
from tradebus.contracts.signals import Side
from tradebus.kernel.money import format_rupees
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import OrderRequest, Outcome, Result
from tradebus.trading.size.margin import margin_paise
from tradebus.waiting.timers import sleep

_EVERY_SECONDS = 5.0
_AGAIN_NS = NANOSECONDS_PER_SECOND  # so soon after a failure it is not asked again
# A request that was given up without an answer may still arrive, and is in no figure before that.
_LATE_NS = 30 * NANOSECONDS_PER_SECOND
_NEVER = -(2**62)
_log = structlog.get_logger()


class EntryMargin:
    """Of one login. A figure older than `max_age_seconds` counts as none."""

    def __init__(
        self, account: BrokerAccount, listing_of: Callable[[int], ListedInstrument | None], *, name: str,
        max_age_seconds: float, timers: Timers,
    ) -> None:  # fmt: skip
        self._account, self._name, self._timers = account, name, timers
        self._groups = GroupMargins(account, listing_of, name=name, timers=timers)
        self._max_age_ns = int(max_age_seconds * NANOSECONDS_PER_SECOND)
        self._figure, self._asked_ns = AccountMargins(0, 0), _NEVER  # what was told, and when it was asked for
        self._failed_ns, self._problem = _NEVER, ""
        # By tag: what an entry needs, and from when on a figure that is asked for has it (None: not answered yet).
        self._under_way: dict[str, tuple[int, int | None]] = {}
        self._asking = asyncio.Lock()

    async def run(self, wanted: Callable[[], bool]) -> None:
        """Keeps the figure fresh while somebody trades, until it is cancelled."""
        while True:
            if wanted():
                await self._ask()
            await sleep(self._timers, _EVERY_SECONDS)

    async def reserve(self, request: OrderRequest) -> str | None:
        """Why the entry is not to be sent; None where its margin is there, and is kept for it until a figure has it."""
        if not self._is_known():
            await self._ask()
        if not self._is_known():
            return f"margin_unknown: {self._name} has told no margin {self._since()}: {self._problem}"
        if request.contract is None or request.price_paise is None:
            return f"margin: {request.symbol} has no contract or no price to estimate it by"
        side = Side.LONG if request.transaction is Transaction.BUY else Side.SHORT
        alone = request.quantity * margin_paise(request.contract, side, price_paise=request.price_paise)
        if request.group_id is None:
            return self._keep(request, needed=alone)
        async with self._groups.turn:
            return self._keep(request, needed=await self._groups.needed_paise(request, alone_paise=alone))

    def _keep(self, request: OrderRequest, *, needed: int) -> str | None:
        under_way = sum(paise for paise, _ in self._under_way.values())
        left = self._figure.available_paise - under_way
        if needed > left:
            there, away = format_rupees(self._figure.available_paise), format_rupees(under_way)
            needs = f"{request.symbol} needs {format_rupees(needed)}"
            return f"margin: the broker has {there}, {away} of it under way; {needs}"
        self._groups.keep(request, paise=needed)
        self._under_way[request.tag] = (needed, None)
        return None

    def answered(self, request: OrderRequest, outcome: Outcome | None) -> None:
        """What became of the entry's request; None where nobody heard."""
        reserved = self._under_way.get(request.tag)
        if reserved is None:
            return
        if outcome is not None and outcome.result is Result.REFUSED:
            del self._under_way[request.tag]
            self._groups.forget(request)
            return
        is_certain = outcome is not None and outcome.result is Result.ACCEPTED
        now_ns = self._timers.monotonic_ns()
        self._under_way[request.tag] = (reserved[0], now_ns if is_certain else now_ns + _LATE_NS)

    async def _ask(self) -> None:
        """Brings a figure, once for all who wait for it."""
        waited_from_ns = self._timers.monotonic_ns()
        async with self._asking:
            asked_ns = self._timers.monotonic_ns()
            if self._asked_ns >= waited_from_ns or asked_ns - self._failed_ns < _AGAIN_NS:
                return
            try:
                figure = await self._account.margins()
            except Exception as error:  # noqa: BLE001 - whatever one broker does, the others go on
                if not isinstance(error, BrokerError):
                    _log.error("margin cannot be read", account=self._name, exc_info=error)
                self._failed_ns, self._problem = self._timers.monotonic_ns(), str(error)
                _log.warning("margin cannot be read", account=self._name, error=str(error))
                return
            self._figure, self._asked_ns = figure, asked_ns
            self._under_way = {
                tag: (paise, covered_ns)
                for tag, (paise, covered_ns) in self._under_way.items()
                if covered_ns is None or covered_ns > asked_ns
            }

    def _is_known(self) -> bool:
        return self._asked_ns != _NEVER and self._timers.monotonic_ns() - self._asked_ns <= self._max_age_ns

    def _since(self) -> str:
        if self._asked_ns == _NEVER:
            return "yet"
        return f"for {(self._timers.monotonic_ns() - self._asked_ns) / NANOSECONDS_PER_SECOND:.0f} s"
