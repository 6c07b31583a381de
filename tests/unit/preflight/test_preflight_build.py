"""A drill counts for the build it was run with."""

from importlib.metadata import version
from pathlib import Path

import pytest

from tradebus.preflight import build


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of its own in the place of ours."""
    folder = tmp_path / "tradebus"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "one.py").write_text("LIMIT = 1\n")

    class Spec:
        submodule_search_locations = (str(folder),)

    monkeypatch.setattr(build, "find_spec", lambda name: Spec if name == "tradebus" else None)
    build.build_name.cache_clear()
    yield folder
    build.build_name.cache_clear()


def named() -> str:
    build.build_name.cache_clear()
    return build.build_name()


def test_the_same_sources_are_one_build_wherever_they_lie(sources: Path) -> None:
    first = named()
    assert first.startswith(f"{version('tradebus')}+")
    (sources / "notes.txt").write_text("of no account")
    (sources / "__pycache__").mkdir()
    (sources / "__pycache__" / "one.cpython-311.pyc").write_bytes(b"compiled")
    assert named() == first


@pytest.mark.parametrize("change", ["content", "name", "new", "statement", "rules"])
def test_a_changed_source_is_another_build(sources: Path, change: str) -> None:
    before = named()
    match change:
        case "content":
            (sources / "one.py").write_text("LIMIT = 2\n")
        case "name":
            (sources / "one.py").rename(sources / "two.py")
        case "new":
            (sources / "deeper").mkdir()
            (sources / "deeper" / "three.py").write_text("")
        case "rules":  # a broker's limits, the market's order rules
            (sources / "limits.json").write_text("[]")
        case _:
            (sources / "one.sql").write_text("SELECT 1")
    assert named() != before


def test_ours_has_one() -> None:
    assert named() == build.build_name()
