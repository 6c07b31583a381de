"""Finding an instrument by any of its names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.kernel.errors import InvalidInput


def instrument(number: int, symbol: str, key: str | None = None) -> Instrument:
    return Instrument(instrument_id=number, symbol=symbol, kind="EQUITY", market_class="equity", underlying=symbol,
                      tick_size_paise=5, instrument_key=key)  # fmt: skip


NAMES = st.lists(
    st.from_regex(r"[A-Z][A-Z0-9&^.-]{0,9}", fullmatch=True), min_size=2, max_size=20, unique_by=lambda name: name
)


@given(names=NAMES, data=st.data())
def test_every_instrument_is_found_by_its_id_and_by_each_of_its_names(names: list[str], data: st.DataObject) -> None:
    middle = data.draw(st.integers(1, len(names)))
    symbols, others = names[:middle], names[middle:]
    aliases = {alias: data.draw(st.sampled_from(symbols)) for alias in others}
    known = [instrument(number, symbol, f"NSE:{symbol}") for number, symbol in enumerate(symbols)]
    master = InstrumentMaster(known, aliases)
    assert list(master) == known
    for row in known:
        assert master.by_id(row.instrument_id) == master.find(row.symbol) == master.find(row.symbol.lower()) == row
        assert master.find(f"NSE:{row.symbol}") == row
    for alias, symbol in aliases.items():
        assert master.find(alias).symbol == symbol
        assert alias in master


def test_an_unknown_symbol_is_named_with_the_nearest_known_one() -> None:
    master = InstrumentMaster([instrument(0, "BANKNIFTY"), instrument(1, "NIFTY")])
    with pytest.raises(InvalidInput, match=r"unknown symbol 'BANKNIFY' \(did you mean 'BANKNIFTY'\?\)"):
        master.find("BANKNIFY")
    assert "BANKNIFY" not in master


@pytest.mark.parametrize(
    ("rows", "aliases"),
    [
        ([instrument(0, "A"), instrument(0, "B")], {}),
        ([instrument(0, "A"), instrument(1, "A")], {}),
        ([instrument(0, "A"), instrument(1, "a")], {}),
        ([instrument(0, "A"), instrument(1, "B")], {"A": "B"}),
        ([instrument(0, "A"), instrument(1, "B")], {"x": "A", "X": "B"}),
        ([instrument(0, "A")], {"x": "B"}),
        ([instrument(0, "A", "NSE:A"), instrument(1, "B", "NSE:A")], {}),
        ([instrument(0, "A", "NSE:A"), instrument(1, "nse:a")], {}),
        ([instrument(0, "A", "NSE:A"), instrument(1, "B")], {"NSE:A": "B"}),
    ],
)
def test_a_name_that_would_mean_two_things_or_nothing_is_refused(
    rows: list[Instrument], aliases: dict[str, str]
) -> None:
    with pytest.raises(InvalidInput):
        InstrumentMaster(rows, aliases)


def test_an_id_nobody_registered_is_refused() -> None:
    with pytest.raises(InvalidInput, match="unknown instrument 7"):
        InstrumentMaster([]).by_id(7)
