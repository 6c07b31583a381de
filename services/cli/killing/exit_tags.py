"""The tags of the exits that are sent past execution, in this run and in earlier ones."""

from collections.abc import Iterable, Sequence
from datetime import date

from services.cli.killing.seen import SeenInstruments
from tradebus.brokers.closing_journal import ClosingJournal, SentExit
from tradebus.contracts.orders import Transaction
from tradebus.execution.closing.terms import TAGS_PER_INSTRUMENT, closing_tag
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import UNLISTED_INSTRUMENT, BrokerOrder


class ExitTags:
    """Of one account. `problem` says why the journal cannot be written, "" while it can."""

    def __init__(
        self, account: str, seen: SeenInstruments, journals: Sequence[ClosingJournal], *, clock: Clock, timers: Timers
    ) -> None:
        self._account, self._seen, self._journals, self._timers = account, seen, journals, timers
        self._day: date = ist_date(clock.now_ns())
        self._tags: dict[int, list[str]] = {}  # by instrument, the first number first
        self._used: set[str] = set()
        self.problem = ""

    def recall(self) -> None:
        """Takes up what the journal has."""
        try:
            self._used |= {one.tag for journal in self._journals for one in journal.read()}
        except InvalidInput as error:
            self.problem = str(error)

    def find(self, orders: Iterable[BrokerOrder]) -> None:
        """Takes up what the broker's book has: the journal may be lost."""
        self._used |= {
            order.tag
            for order in orders
            if order.instrument != UNLISTED_INSTRUMENT and order.tag in self._of(order.instrument)
        }

    def is_one(self, tag: str) -> bool:
        """Whether an order is an exit that was sent past execution, now or by an earlier run."""
        return tag in self._used

    def next(self, instrument: int) -> str | None:
        """The next tag, used from now on; None where all are."""
        tags = self._of(instrument)
        used = [number for number, tag in enumerate(tags) if tag in self._used]
        number = used[-1] + 1 if used else 0
        if number >= TAGS_PER_INSTRUMENT:
            return None
        self._used.add(tags[number])
        return tags[number]

    def write(self, tag: str, instrument: int, transaction: Transaction, quantity: int) -> None:
        """Makes the exit last, where that can be: a full disk keeps nobody in a position."""
        segment, token = self._seen.where(instrument)
        sent = SentExit(tag, segment, token, transaction.value, quantity, self._timers.now_ns())
        for journal in self._journals:
            try:
                journal.write(sent)
            except InvalidInput as error:
                self.problem = str(error)

    def _of(self, instrument: int) -> list[str]:
        if instrument not in self._tags:
            segment, token = self._seen.where(instrument)
            self._tags[instrument] = [
                closing_tag(self._account, segment=segment, token=token, day=self._day, number=number)
                for number in range(TAGS_PER_INSTRUMENT)
            ]
        return self._tags[instrument]
