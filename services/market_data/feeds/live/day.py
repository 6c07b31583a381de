"""What is followed on one trading day: the instruments of the day's master, and how they are grouped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.market_data.books import MarketBooks
from services.market_data.feeds.live.book import register_listed
from services.market_data.feeds.live.connection import Asked
from services.market_data.feeds.live.connections import spread
from services.market_data.feeds.live.resolve import BrokerMaster, ListedTerms, Resolved
from services.market_data.feeds.live.source import LiveSource
from services.market_data.gaps.gap import FeedGroup
from tradebus.brokers.feed import FeedMode
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.records import Records
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date


@dataclass(frozen=True)
class FollowedDay:
    """`resolved` and `groups` by instrument id; `full` are the ids that are followed in full."""

    day: date
    resolved: Mapping[int, Resolved]
    groups: Mapping[int, FeedGroup]
    full: frozenset[int]
    indices: Mapping[str, ListedInstrument]  # by name: those whose contracts are followed

    @cached_property
    def listings(self) -> Mapping[int, ListedInstrument]:
        return {instrument: one.listing for instrument, one in self.resolved.items()}

    @cached_property
    def terms(self) -> Mapping[int, ListedTerms]:
        return {
            instrument: ListedTerms(one.kind, one.market_class, one.listing.key.name, one.listing.key.expiry)
            for instrument, one in self.resolved.items()
        }

    @cached_property
    def symbols(self) -> Mapping[int, str]:
        return {instrument: one.symbol for instrument, one in self.resolved.items()}

    @cached_property
    def in_full(self) -> npt.NDArray[np.bool_]:
        """Shape [ids]: whether the instrument is followed in full."""
        chosen = np.zeros(max(self.resolved, default=0) + 1, np.bool_)
        chosen[list(self.full)] = True
        return chosen

    @cached_property
    def _numbers(self) -> tuple[list[FeedGroup], npt.NDArray[np.int64]]:
        """The groups in order, and shape [ids]: the place of each instrument's, -1 for what is not followed."""
        ordered = sorted(set(self.groups.values()))
        places = np.full(max(self.resolved, default=0) + 1, -1, np.int64)
        for instrument, group in self.groups.items():
            places[instrument] = ordered.index(group)
        return ordered, places

    def groups_of(self, records: Records) -> list[FeedGroup]:
        """Whose data these QUOTE records are."""
        ordered, places = self._numbers
        which = records["instrument"]
        which = which[(which >= 0) & (which < len(places))]
        return [ordered[place] for place in np.unique(places[which]).tolist() if place >= 0]

    def members(self, group: FeedGroup) -> Mapping[int, str]:
        """The group's instruments, by id, with their symbols."""
        return {instrument: self.symbols[instrument] for instrument, own in self.groups.items() if own == group}

    def asked(self) -> Sequence[Asked]:
        """What each connection is to subscribe."""
        count = 1 + max((group.connection for group in self.groups.values()), default=0)
        asked: list[dict[int, tuple[ListedInstrument, FeedMode]]] = [{} for _ in range(count)]
        for instrument, group in self.groups.items():
            mode = FeedMode.FULL if instrument in self.full else FeedMode.QUOTE
            asked[group.connection][instrument] = (self.listings[instrument], mode)
        return asked


async def read_day(
    source: LiveSource,
    books: MarketBooks,
    names: Sequence[str],
    *,
    full_names: Sequence[str],
    connections: int,
    now_ns: int,
) -> FollowedDay:
    """Reads the broker's master of the day and registers the instruments that `names` mean in it.

    Raises BrokerError, and InvalidInput where a name is unknown, or more is asked for than the broker's feed carries.
    """
    day = ist_date(now_ns)
    listings = BrokerMaster(await source.master())
    resolved = listings.resolve(names, now_ns=now_ns)
    full_keys = {one.listing.key for one in listings.resolve(full_names, now_ns=now_ns)}
    strange = full_keys - {one.listing.key for one in resolved}
    if strange:
        first = min(map(str, strange))
        raise InvalidInput(f"TRADEBUS_FULL_SYMBOLS: {first} is not among TRADEBUS_SYMBOLS: add it there")
    by_id = await register_listed(books, source.name, resolved, today=day)
    # Those of one exchange and class lie together, so that a connection carries few of them.
    ordered = sorted(by_id, key=lambda each: (by_id[each].listing.key.segment, by_id[each].market_class, each))
    groups = {
        instrument: FeedGroup(number, by_id[instrument].listing.key.segment.value, by_id[instrument].market_class.value)
        for number, part in enumerate(spread(ordered, broker=source.name, connections=connections))
        for instrument in part
    }
    full = frozenset(each for each, one in by_id.items() if not full_names or one.listing.key in full_keys)
    names_derived = {one.listing.key.name for one in by_id.values() if one.listing.key.is_derivative}
    indices = {name: index for name in sorted(names_derived) if (index := listings.index(name)) is not None}
    followed = FollowedDay(day, by_id, groups, full, indices)
    source.follow(followed.listings)
    return followed
