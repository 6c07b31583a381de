"""Several sources of signals: execution goes on to where the last of them has got, across lives too."""

from hypothesis import given
from hypothesis import strategies as st

from services.risk.market.sources import SignalSources
from services.risk.messages import INTENTS_STREAM
from tradebus.bus.port import Entry
from tradebus.contracts.streams import SIGNALS, Density, Stream

STRATEGY, POLICY = SIGNALS, Stream("signals.v1.policy", "policy", Density.SPARSE, 1000)
SOURCES = {"strategy": STRATEGY, "policy": POLICY}


def watermark(source: str, ns: int, number: int = 1) -> Entry:
    return Entry(SOURCES[source].name, f"{number}-0", "watermark", b"", watermark_ns=ns)


def told(sources: SignalSources, entries: list[Entry]) -> list[int]:
    out = [one for entry in entries for one in sources.owed(entry)]
    assert all(one.stream == INTENTS_STREAM and one.kind == "watermark" for one in out)
    return [one.watermark_ns or 0 for one in out]


def test_nothing_is_promised_before_every_source_has_spoken() -> None:
    sources = SignalSources((STRATEGY, POLICY), recalled=dict)
    assert told(sources, [watermark("strategy", 60), watermark("strategy", 120)]) == []
    assert told(sources, [watermark("policy", 60), watermark("policy", 180)]) == [60, 120]


def test_what_an_earlier_life_has_acknowledged_counts() -> None:
    sources = SignalSources((STRATEGY, POLICY), recalled=lambda: {STRATEGY.name: 300})
    assert told(sources, [watermark("policy", 240), watermark("policy", 360)]) == [240, 300]


def test_other_streams_and_signals_without_a_watermark_promise_nothing() -> None:
    sources = SignalSources((STRATEGY,), recalled=dict)
    assert told(sources, [Entry("orders.v1", "1-0", "watermark", b"", watermark_ns=5)]) == []
    assert told(sources, [Entry(STRATEGY.name, "1-0", "ENTRY_SIGNAL", b"{}")]) == []
    assert told(sources, [watermark("strategy", 60)]) == [60]


@given(
    steps=st.lists(st.tuples(st.sampled_from(sorted(SOURCES)), st.integers(0, 5)), max_size=40), cut=st.integers(0, 40)
)
def test_the_promise_is_that_of_the_source_furthest_behind_and_never_goes_back(
    steps: list[tuple[str, int]], cut: int
) -> None:
    reached = dict.fromkeys(SOURCES, 0)
    entries = []
    for number, (source, gained) in enumerate(steps):
        reached[source] += gained
        entries.append((watermark(source, reached[source], number), dict(reached)))
    first = SignalSources((STRATEGY, POLICY), recalled=dict)
    before = told(first, [entry for entry, _ in entries[:cut]])
    acknowledged = entries[cut - 1][1] if 0 < cut <= len(entries) else (entries[-1][1] if cut and entries else {})
    recalled = {SOURCES[name].name: ns for name, ns in acknowledged.items() if ns}
    second = SignalSources((STRATEGY, POLICY), recalled=lambda: recalled)
    after = told(second, [entry for entry, _ in entries[cut:]])
    everything = [*before, *after]
    assert everything == sorted(everything)
    if after:
        assert everything[-1] == min(reached.values())
