"""One name means one thing across the tree: no public class is defined twice, and no alias bears a class's name.

In the libraries no public function is either, but for those below.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from tradebus.contracts.registry import MESSAGES
from tradebus.trading import facts

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("libs/tradebus/**/*.py"), *ROOT.glob("services/**/*.py")])
FACES = "services/sandbox/faces"
# What the face of every broker has, each in its broker's own words.
OF_EVERY_FACE = {"Caller", "Catalogue", "FeedHub", "FeedSubscriber", "Fields", "Logins", "StreamMode"}
# A fact in the cores and the message as which a service publishes it are one thing, and have one name and one TYPE.
FACTS = "libs/tradebus/trading/facts.py"
BROKERS, GATES = "libs/tradebus/brokers", "libs/tradebus/preflight/gates/"
# What each program, each folder that compiles ahead of time, and each compiled strategy has.
FUNCTIONS = {"main", "compile_all", "decide"}
# Names that mean several things today. Nothing is added.
OF_TODAY: set[str] = {
    "ask_of", "block", "cancelled", "chain_of", "checked", "compile_each", "deadline", "decode", "describe",
    "give_up_stop", "joined", "line_of", "opened", "paise", "placed", "read_frame", "read_json", "row_of", "rows_of",
    "segment_of", "settle", "spans", "text", "timed_out", "whole", "write",
}  # fmt: skip
MESSAGE_BY_NAME = {message.__name__: message for message in MESSAGES.values()}


def places(paths: Iterable[Path], *, root: Path) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """The files that define each public class, and each public alias at a module's top."""
    classes: dict[str, set[str]] = defaultdict(set)
    aliases: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        place = str(path.relative_to(root))
        for node in ast.parse(path.read_text(), filename=place).body:
            if isinstance(node, ast.ClassDef):
                classes[node.name].add(place)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        aliases[target.id].add(place)
    return (
        {name: where for name, where in classes.items() if not name.startswith("_")},
        {name: where for name, where in aliases.items() if not name.startswith("_")},
    )


def one_thing(name: str, where: set[str]) -> bool:
    """Whether the definitions are of one thing after all."""
    if FACTS in where:
        message = MESSAGE_BY_NAME.get(name)
        return len(where) == 2 and message is not None and message.TYPE == getattr(facts, name).TYPE
    faces = {place.removeprefix(f"{FACES}/").split("/")[0] for place in where if place.startswith(f"{FACES}/")}
    return name in OF_EVERY_FACE and len(faces) == len(where)


def shared(paths: Iterable[Path], *, root: Path = ROOT) -> dict[str, set[str]]:
    """Names that mean several things, with the files that define them."""
    classes, aliases = places(paths, root=root)
    found = {name: where for name, where in classes.items() if len(where) > 1 and not one_thing(name, where)}
    found |= {name: where | aliases[name] for name, where in classes.items() if name in aliases}
    return found


def shared_functions(paths: Iterable[Path], *, root: Path = ROOT) -> dict[str, set[str]]:
    """Public functions of several modules that are no one thing: one a broker, in its words, one a gate of preflight,
    or what every program has."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        place = str(path.relative_to(root))
        for node in ast.parse(path.read_text(), filename=place).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                found[node.name].add(place)
    return {name: where for name, where in found.items() if len(where) > 1 and not _one_function(name, where)}


def _one_function(name: str, where: set[str]) -> bool:
    brokers = [place.removeprefix(f"{BROKERS}/").split("/")[0] for place in where if place.startswith(f"{BROKERS}/")]
    of_every_broker = len(brokers) == len(set(brokers)) == len(where) and set(brokers) <= {"kite", "dhan", "upstox"}
    return name in FUNCTIONS or of_every_broker or (name == "ask" and all(place.startswith(GATES) for place in where))


def test_no_function_of_the_libraries_means_several_things():
    found = shared_functions(path for path in SOURCES if path.is_relative_to(ROOT / "libs"))
    assert set(found) - OF_TODAY == set(), found
    assert OF_TODAY - set(found) == set(), "parted by now: take it from the list"


def test_the_check_of_functions_can_fail(tmp_path):
    for place, text in (("a.py", "def walk(): ..."), ("b.py", "def walk(): ..."), ("c.py", "def main(): ...")):
        (tmp_path / place).write_text(text)
    assert set(shared_functions(tmp_path.glob("*.py"), root=tmp_path)) == {"walk"}


def test_no_name_means_several_things():
    found = shared(SOURCES)
    assert not found, found


def test_every_named_reason_is_needed():
    classes, _ = places(SOURCES, root=ROOT)
    assert {name for name in OF_EVERY_FACE if len(classes.get(name, ())) < 2} == set()


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("libs/a.py", "services/b.py", "class Desk: ...\n"),
        (f"{FACES}/kite/a.py", f"{FACES}/kite/b.py", "class Fields: ...\n"),
        (f"{FACES}/kite/a.py", "services/b.py", "class Fields: ...\n"),
        (FACTS, "services/b.py", "class EntrySignal: ...\nclass Other: ...\n"),
    ],
)
def test_the_check_of_names_can_fail(tmp_path, first, second, text):
    for place in (first, second):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    assert shared(tmp_path.glob("**/*.py"), root=tmp_path)


def test_an_alias_may_not_bear_the_name_of_a_class(tmp_path):
    (tmp_path / "a.py").write_text("class Step: ...\n_Own = int\n")
    (tmp_path / "b.py").write_text("Step = int\nclass _Own: ...\n")
    assert set(shared(tmp_path.glob("*.py"), root=tmp_path)) == {"Step"}
