"""The list of decisions has every page, in order and by its title, and what pages refer to is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
_ITEM = re.compile(r"^(\d+)\. \[(.+)\]\((\S+)\)$", re.MULTILINE)


def wrong_list(folder: Path) -> list[str]:
    """What of `folder/README.md` does not agree with the pages beside it."""
    listed = _ITEM.findall((folder / "README.md").read_text())
    pages = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    wanted = [
        (str(int(path.name[:4])), path.read_text().splitlines()[0].partition(". ")[2], path.name) for path in pages
    ]  # fmt: skip
    if listed == wanted:
        return []
    return [
        *(f"is not in the list, or otherwise: {one}" for one in wanted if one not in listed),
        *(f"has no page, or another title: {one}" for one in listed if one not in wanted),
    ] or ["the list is not in the order of the numbers"]


def dead_links(path: Path) -> list[str]:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
    return [link for link in links if "://" not in link and not (path.parent / link).exists()]


def test_the_list_of_decisions_has_every_page() -> None:
    assert wrong_list(DECISIONS) == []


def test_no_page_refers_to_what_is_not_there() -> None:
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    assert {str(path.relative_to(ROOT)): dead for path in pages if (dead := dead_links(path))} == {}


def test_the_check_of_the_list_can_fail(tmp_path: Path) -> None:
    for number, title in ((1, "One"), (2, "Two")):
        (tmp_path / f"{number:04}-x.md").write_text(f"# {number}. {title}\n")
    whole = "# Decisions\n\n1. [One](0001-x.md)\n2. [Two](0002-x.md)\n"
    (tmp_path / "README.md").write_text(whole)
    assert wrong_list(tmp_path) == []
    one, two = whole.splitlines()[2:]
    for text in (one, f"{two}\n{one}", whole.replace("Two", "Three"), f"{whole}3. [Three](0003-x.md)\n"):
        (tmp_path / "README.md").write_text(f"{text}\n")
        assert wrong_list(tmp_path), text
    assert dead_links(tmp_path / "README.md") == ["0003-x.md"]
