"""An empty variable is one that is not set: a compose file can only leave the value out."""

import pytest

from services.execution.settings import ExecutionSettings
from services.gateway.settings import GatewaySettings


@pytest.fixture(autouse=True)
def _servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user@127.0.0.1/db")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1")


def test_an_empty_number_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECUTION_LOOK_SECONDS", "")
    monkeypatch.setenv("DAILY_MAX_LOSS_R", "")
    assert ExecutionSettings().look_seconds == ExecutionSettings.model_fields["look_seconds"].default
    assert GatewaySettings().daily_max_loss_r is None
    monkeypatch.setenv("DAILY_MAX_LOSS_R", "3")
    assert GatewaySettings().daily_max_loss_r == 3


def test_an_empty_path_and_address_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEBUS_SCHEDULES", "")
    monkeypatch.setenv("TRADEBUS_KITE_URL", "")
    assert GatewaySettings().schedules is None
    assert GatewaySettings().broker_urls["kite"] == ""
