"""The published contract: it is what the code says, it is whole, and a difference is found."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tradebus.contracts.asyncapi import asyncapi
from tradebus.contracts.catalogue import MESSAGES_ON, RECORDS
from tradebus.contracts.export import FOLDER, NAMES, differing, documents, main, write
from tradebus.contracts.registry import MESSAGES
from tradebus.contracts.streams import COMMAND_INBOX, EVENTS, STREAM_BY_NAME, STREAMS, Density

ROOT = Path(__file__).parents[3]


def test_the_published_files_are_what_the_code_says() -> None:
    assert differing(ROOT / FOLDER) == [], "run python -m tradebus.contracts.export"


def test_writing_and_checking_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "docs" / "contracts"
    assert main(["--check", "--folder", str(folder)]) == 1
    assert main(["--folder", str(folder)]) == 0
    assert main(["--check", "--folder", str(folder)]) == 0
    assert capsys.readouterr().err.count("run python -m tradebus.contracts.export") == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_a_missing_and_a_stray_file_are_named(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    text = (tmp_path / name).read_text(encoding="utf-8")
    (tmp_path / name).write_text(text.replace("KILL", "SLEEP", 1), encoding="utf-8")
    assert differing(tmp_path) == [name]
    (tmp_path / name).unlink()
    assert differing(tmp_path) == [name]
    write(tmp_path)
    (tmp_path / "stray.json").write_text("{}")
    assert differing(tmp_path) == ["stray.json"]


def references(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        if isinstance(tree.get("$ref"), str):
            yield tree["$ref"]
        for value in tree.values():
            yield from references(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from references(value)


@pytest.mark.parametrize("name", ["asyncapi.json", "messages.schema.json"])
def test_every_reference_leads_somewhere(name: str) -> None:
    document = json.loads(documents()[name])
    found = list(references(document))
    assert found
    for reference in found:
        assert reference.startswith("#/")
        place = document
        for step in reference[2:].split("/"):
            place = place[step]


def test_every_message_flows_on_one_stream_of_the_table_and_a_signal_on_that_of_each_source() -> None:
    placed = [model.TYPE for models in MESSAGES_ON.values() for model in models]
    assert set(placed) == set(MESSAGES)
    assert {name for name in placed if placed.count(name) > 1} == {"ENTRY_SIGNAL", "EXIT_SIGNAL"}
    assert all(STREAM_BY_NAME[name].density is Density.SPARSE for name in MESSAGES_ON)


def test_every_stream_has_contents() -> None:
    document = asyncapi()
    for stream in STREAMS:
        kinds = set(document["channels"][stream.name]["messages"])
        assert kinds - {"watermark"}, stream.name
    assert document["channels"][EVENTS.name]["messages"].keys() == (
        document["channels"]["pubsub.trading.events"]["messages"].keys()
    )
    assert document["channels"][COMMAND_INBOX.name]["messages"].keys() == {"external-command"}
    assert {"action": "receive", "channel": {"$ref": "#/channels/pubsub.trading.commands"}} in list(
        document["operations"].values()
    )


def test_every_field_of_a_record_is_explained() -> None:
    assert {record.stream for record in RECORDS} == {one for one in STREAMS if one.density is Density.DENSE}
    for record in RECORDS:
        assert list(record.meanings) == list(record.dtype.names or ())


def test_the_catalogue_names_every_message_field_and_stream() -> None:
    page = documents()["README.md"]
    for name, model in MESSAGES.items():
        assert f"| `{name}` | " in page
        assert all(f"`{field}` " in page for field in model.model_fields)
    assert all(stream.name in page for stream in STREAMS)
    assert "REDIS_URL" not in page
