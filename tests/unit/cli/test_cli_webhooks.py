"""`tradebus webhook`: sources are kept, shown without their secrets, and removed."""

import json
import stat
from pathlib import Path

import pytest

from services.cli.webhooks import add_source, list_sources, remove_source, stored_sources
from tradebus.kernel.errors import InvalidInput


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRADEBUS_STATE_DIR", str(tmp_path / "state"))


def test_a_secret_is_made_where_there_is_none_for_its_owner_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "chart.secret"
    add_source("chart", user="123", secret_file=path, per_minute=12, plain=False, json=False)
    secret = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = stored_sources().find("chart")
    assert found is not None
    assert (found.secret.get_secret_value(), found.user_id, found.per_minute) == (secret, "123", 12)
    add_source("chart", user="9", secret_file=path, per_minute=3, plain=False, json=True)
    list_sources(json=True)
    list_sources(json=False)
    said = capsys.readouterr().out
    assert secret not in said
    assert '"made": false' in said
    listed = [json.loads(line) for line in said.splitlines() if line.startswith("{")][-1]
    assert listed["webhooks"] == [{"name": "chart", "user_id": "9", "per_minute": 3, "signs": True}]
    remove_source("chart", json=False)
    list_sources(json=False)
    assert "no program may signal" in capsys.readouterr().out
    with pytest.raises(InvalidInput, match="not stored here"):
        remove_source("chart", json=False)


def test_a_bad_user_and_a_file_that_is_no_secret_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "chart.secret"
    with pytest.raises(InvalidInput, match="--user"):
        add_source("chart", user="a b", secret_file=path, per_minute=12, plain=False, json=False)
    assert not path.exists()
    path.write_text("short")
    with pytest.raises(InvalidInput, match="at least 32"):
        add_source("chart", user="123", secret_file=path, per_minute=12, plain=False, json=False)
    path.write_bytes(b"\xff" * 50)
    with pytest.raises(InvalidInput, match="not text"):
        add_source("chart", user="123", secret_file=path, per_minute=12, plain=False, json=False)
    with pytest.raises(InvalidInput, match="cannot be made"):
        add_source("chart", user="123", secret_file=tmp_path / "no" / "folder", per_minute=12, plain=False, json=False)
    assert stored_sources().names() == []
