"""Named SQL files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.store.queries import load_queries, parse_queries

NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True), unique=True, min_size=1, max_size=5)
LINES = st.lists(st.sampled_from(["SELECT 1", "  FROM t -- why", "-- a comment", "", "WHERE a = ':-- name'"]))


@given(names=NAMES, data=st.data())
def test_every_section_comes_back_as_it_was_written(names: list[str], data: st.DataObject) -> None:
    bodies = {name: "SELECT 0\n" + "\n".join(data.draw(LINES)) for name in names}
    text = "-- A file.\n\n" + "\n".join(f"-- name: {name}\n{body};\n" for name, body in bodies.items())
    assert parse_queries(text) == {name: body.strip() for name, body in bodies.items()}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT 1;\n-- name: a\nSELECT 1;", "before the first"),
        ("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;", "'a' is malformed or there twice"),
        ("-- name: a-b\nSELECT 1;", "'a-b'"),
        ("-- name: a\n\n-- name: b\nSELECT 1;", "'a' is empty"),
        ("-- name: a\n-- only a comment", "'a' is empty"),
    ],
)
def test_a_malformed_file_is_refused_by_name(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_queries(text)


def test_a_file_of_a_package_is_loaded_once_and_cannot_be_changed() -> None:
    queries = load_queries("tradebus.store", "store")
    assert queries is load_queries("tradebus.store", "store")
    assert "INSERT INTO inbox" in queries["first_time"]
    with pytest.raises(TypeError):
        queries["first_time"] = "SELECT 1"  # type: ignore[index]
