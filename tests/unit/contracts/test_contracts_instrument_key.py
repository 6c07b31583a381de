from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment
from tradebus.kernel.errors import InvalidInput

NAMES = st.from_regex(r"[A-Z0-9&-]{1,12}", fullmatch=True)
CASH = st.builds(InstrumentKey, st.sampled_from([Segment.NSE, Segment.BSE, Segment.INDEX]), NAMES)
DERIVATIVES = st.sampled_from([Segment.NFO, Segment.BFO])
DATES = st.dates(date(2000, 1, 1), date(2099, 12, 31))
FUTURES = st.builds(InstrumentKey, DERIVATIVES, NAMES, DATES)
OPTIONS = st.builds(
    InstrumentKey, DERIVATIVES, NAMES, DATES, st.integers(1, 10**9), st.sampled_from(list(Right))
)  # fmt: skip
KEYS = st.one_of(CASH, FUTURES, OPTIONS)


@given(KEYS)
def test_a_key_is_found_again_from_its_text(key: InstrumentKey):
    assert InstrumentKey.parse(str(key)) == key


@given(KEYS, KEYS)
def test_different_keys_have_different_texts(one: InstrumentKey, other: InstrumentKey):
    assert (str(one) == str(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("NSE:INFY", InstrumentKey(Segment.NSE, "INFY")),
        ("INDEX:NIFTY", InstrumentKey(Segment.INDEX, "NIFTY")),
        ("NFO:NIFTY:2026-12-29:FUT", InstrumentKey(Segment.NFO, "NIFTY", date(2026, 12, 29))),
        (
            "NFO:NIFTY:2026-12-29:26000:CE",
            InstrumentKey(Segment.NFO, "NIFTY", date(2026, 12, 29), 2_600_000, Right.CALL),
        ),
        ("BFO:X:2026-12-29:10.50:PE", InstrumentKey(Segment.BFO, "X", date(2026, 12, 29), 1_050, Right.PUT)),
    ],
)
def test_how_a_key_is_written(text: str, key: InstrumentKey):
    assert str(key) == text
    assert InstrumentKey.parse(text) == key


@pytest.mark.parametrize(
    "text",
    ["", "NIFTY", "NSE:", "NYSE:IBM", "NFO:NIFTY", "NSE:INFY:2026-12-29:FUT", "NFO:NIFTY:2026-13-01:FUT",
     "NFO:NIFTY:2026-12-29:CE", "NFO:NIFTY:2026-12-29:x:CE", "NFO:NIFTY:2026-12-29:26000:XX",
     "NFO:NIFTY:2026-12-29:1e3:CE", "NFO:NIFTY:2026-12-29:26000.00:CE", "NFO:NIFTY:20261229:FUT", "nse:INFY"],
)  # fmt: skip
def test_what_is_no_key_is_refused_with_how_one_is_written(text: str):
    with pytest.raises(InvalidInput, match="NFO:NIFTY:2026-12-29:FUT"):
        InstrumentKey.parse(text)
