"""The stream table: what flows where, who alone produces it, how long it is.

    market_data ─► md.ticks, md.quotes, md.candles, md.gaps      strategy ─► signals.strategy
    risk ─► intents, risk                    execution ─► orders
    gateway ─► commands, sessions, events, signals.{manual,webhook}

`tests/architecture` checks that a service publishes only to the streams it owns.
"""

from dataclasses import dataclass
from enum import StrEnum

# The public pub/sub channels (SPEC 2). Not streams: nothing on them outlives a reader.
COMMAND_CHANNEL = "trading:commands"
EVENT_CHANNEL = "trading:events"


class Density(StrEnum):
    DENSE = "dense"
    SPARSE = "sparse"


class Overflow(StrEnum):
    """What happens on a full stream whose slowest reader has not finished the oldest entries.

    WAIT: its publishers wait; nothing is ever lost. WAIT_FOR_LIVING: they wait for readers that read; in a live run a
    group that has been silent for minutes (its service is dead, or was taken out of service for good) is not waited
    for any more, and finds in Postgres what it missed. TRIM_LIVE: in a live run the oldest entries go, and a reader
    that comes too late is told and rebuilds its state, so that no reader that is gone stops the market's data; in a
    paced run, where every reader takes part in the result, publishers wait as well.
    """

    WAIT = "wait"
    WAIT_FOR_LIVING = "wait_for_living"
    TRIM_LIVE = "trim_live"


@dataclass(frozen=True, slots=True)
class Stream:
    """One row of the table. `name` carries the version; `max_entries` bounds it (older entries are trimmed)."""

    name: str
    producer: str
    density: Density
    max_entries: int

    @property
    def overflow(self) -> Overflow:
        """Dense state can be built anew. What a service publishes sparsely is in Postgres before; what comes from
        outside is nowhere else."""
        if self.density is Density.DENSE:
            return Overflow.TRIM_LIVE
        return Overflow.WAIT if self.producer == "external" else Overflow.WAIT_FOR_LIVING

    @property
    def short(self) -> str:
        """What people call it: `md.candles.v1` is candles, `signals.v1.rl` is signals.rl."""
        base, _, source = self.name.partition(".v1")
        kind = base.rpartition(".")[2]
        return kind if source in ("", ".strategy") else f"{kind}{source}"

    def shard(self, number: int) -> str:
        """The key of one shard, hash-tagged so that Redis Cluster keeps a shard on one node."""
        return f"{self.name}.{{{number}}}"


MD_TICKS = Stream("md.ticks.v1", "market_data", Density.DENSE, 50_000)
# Of instruments that are followed in full: depth, totals and ranges. Wide records, so fewer entries are kept.
MD_QUOTES = Stream("md.quotes.v1", "market_data", Density.DENSE, 10_000)
MD_CANDLES = Stream("md.candles.v1", "market_data", Density.DENSE, 50_000)
MD_GAPS = Stream("md.gaps.v1", "market_data", Density.SPARSE, 20_000)
# One stream for each source of signals, with watermarks of its own: two producers are two streams.
SIGNALS = Stream("signals.v1.strategy", "strategy", Density.SPARSE, 100_000)
SIGNAL_SOURCES: tuple[Stream, ...] = (SIGNALS,)
# What a person asks for, and what another program. It comes at no instant of the market's, so it carries no watermark
# and nothing waits for it.
SIGNALS_MANUAL = Stream("signals.v1.manual", "gateway", Density.SPARSE, 10_000)
SIGNALS_WEBHOOK = Stream("signals.v1.webhook", "gateway", Density.SPARSE, 10_000)
ASKED_SOURCES: tuple[Stream, ...] = (SIGNALS_MANUAL, SIGNALS_WEBHOOK)
INTENTS = Stream("intents.v1", "risk", Density.SPARSE, 100_000)
RISK = Stream("risk.v1", "risk", Density.SPARSE, 100_000)
ORDERS = Stream("orders.v1", "execution", Density.SPARSE, 100_000)
COMMANDS = Stream("commands.v1", "gateway", Density.SPARSE, 100_000)
SESSIONS = Stream("sessions.v1", "gateway", Density.SPARSE, 100_000)
EVENTS = Stream("trading.events.v1", "gateway", Density.SPARSE, 200_000)
# The one stream that is written from outside: commands, durably (SPEC 2).
COMMAND_INBOX = Stream("trading.commands.v1", "external", Density.SPARSE, 10_000)

STREAMS: tuple[Stream, ...] = (
    MD_TICKS, MD_QUOTES, MD_CANDLES, MD_GAPS, SIGNALS, SIGNALS_MANUAL, SIGNALS_WEBHOOK, INTENTS, RISK, ORDERS, COMMANDS,
    SESSIONS, EVENTS, COMMAND_INBOX,
)  # fmt: skip
STREAM_BY_NAME: dict[str, Stream] = {stream.name: stream for stream in STREAMS}

# Streams whose keys carry the number of a shard, `<name>.{0}`: prices by instrument, intents by user. There is one
# shard: whoever publishes or reads asks `key_of`, so that no key is written that nobody reads.
SHARDED: tuple[Stream, ...] = (MD_TICKS, MD_QUOTES, MD_CANDLES, INTENTS)


def key_of(stream: Stream) -> str:
    """The one key of a stream."""
    return stream.shard(0) if stream in SHARDED else stream.name
