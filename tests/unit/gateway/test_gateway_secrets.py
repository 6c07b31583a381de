"""A token in the wrong place, or under a wrong name, is in nothing that is said back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.domain.body import RefusedCommand, read_command
from services.gateway.domain.problems import Problems, could_be_secret, without_secrets
from services.gateway.domain.start import StartCatalogue, read_start
from services.gateway.strategy_check import strategy_errors
from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.contracts.sessions import StrategySpec

JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9.eyJpc3MiOiJkaGFuIn0.s3cret"
KITE = "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW"
TOKENS = [JWT, KITE, "0123456789abcdef0123456789abcdef01234567", "correcthorsebatterystaplecorrecthorse"]
CATALOGUE = StartCatalogue(
    InstrumentMaster([
        Instrument(instrument_id=1, symbol="BANKNIFTY", kind="INDEX", market_class="index", underlying="BANKNIFTY",
                   tick_size_paise=5)
    ])
)  # fmt: skip
GOOD: dict[str, Any] = {"strategies": ["orb"], "symbols": ["BANKNIFTY"], "capital": 100000}


def said(body: dict[str, Any]) -> str:
    """Everything a sender and the outside hear of a command."""
    command = read_command(json.dumps(body).encode())
    if isinstance(command, RefusedCommand):
        return f"{command.action} {command.errors}"
    problems = Problems()
    spec = read_start(command.data, user_id="123", catalogue=CATALOGUE, problems=problems)
    errors = list(problems.errors)
    if spec is not None:
        for one in spec.strategies:
            errors += strategy_errors(one)
        kept = spec.model_dump_json(exclude={"strategies": {"__all__": {"name", "path"}}})
        return f"{without_secrets(errors, command.data)} {kept if not errors else None}"
    return str(without_secrets(errors, command.data))


PLACES: list[dict[str, Any]] = [
    {"data": {**GOOD, "acces_token": "?"}}, {"data": {**GOOD, "?": 1}}, {"data": {**GOOD, "broker": "?"}},
    {"data": {**GOOD, "mode": "?"}}, {"data": {**GOOD, "symbols": ["?"]}}, {"data": {**GOOD, "capital": "?"}},
    {"data": {**GOOD, "strategies": ["?"]}}, {"data": {**GOOD, "strategies": [{"name": "orb", "path": "?"}]}},
    {"data": {**GOOD, "strategies": [{"name": "?", "path": "/tmp/none.py"}]}},
    {"data": {**GOOD, "strategies": [{"name": "orb", "parameters": {"access_token": "?"}}]}},
    {"data": {**GOOD, "strategies": [{"name": "orb", "parameters": {"range_minutes": "?"}}]}},
    {"data": {**GOOD, "strategies": [{"name": "orb", "?": "x"}]}}, {"data": {**GOOD, "limits": {"?": 1}}},
    {"data": {**GOOD, "limits": {"daily_max_loss": "?"}}}, {"data": {**GOOD, "limits": {"safe_trading_start": "?"}}},
    {"data": {**GOOD, "paper": {"seed": "?"}}}, {"data": {**GOOD, "credential": "?", "broker": "kite"}},
    {"data": {**GOOD, "data_broker": "?"}}, {"data": {**GOOD, "client_id": "?"}}, {"data": "?"}, {"data": ["?"]},
    {"access_token": "?", "data": GOOD}, {"?": 1, "data": GOOD}, {"action": "?", "data": GOOD},
    {"user_id": ["?"], "data": GOOD}, {"user_id": "? ?", "data": GOOD}, {"command_id": "? ?", "data": GOOD},
]  # fmt: skip


def planted(tree: Any, token: str) -> Any:
    if isinstance(tree, dict):
        return {key.replace("?", token): planted(value, token) for key, value in tree.items()}
    if isinstance(tree, list):
        return [planted(value, token) for value in tree]
    return tree.replace("?", token) if isinstance(tree, str) else tree


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: json.dumps(place)[:60])
def test_a_planted_token_is_never_said_back(place: dict[str, Any], token: str) -> None:
    body = {"action": "START_TRADING", "user_id": "123", **planted(place, token)}
    text = said(body)
    assert token not in text
    assert token[:20] not in text


@pytest.mark.parametrize("text", ["BANKNIFTY", "orb", "daily_max_loss", "safe_trading_start", "data", "ema_20_50"])
def test_names_of_ours_are_no_secrets(text: str) -> None:
    assert not could_be_secret(text)


@given(st.recursive(st.sampled_from([*TOKENS, "orb", "x"]), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from([*TOKENS, "name", "path", "symbols"]), inner, max_size=3)))  # fmt: skip
def test_no_tree_with_tokens_in_it_brings_one_back(tree: Any) -> None:
    text = said({"action": "START_TRADING", "user_id": "123", "data": {**GOOD, "strategies": tree, "extra": tree}})
    assert not any(token in text for token in TOKENS)


def test_a_strategy_that_is_not_there_is_not_named_back_and_the_nearest_is() -> None:
    (error,) = strategy_errors(StrategySpec(name="orbb"))
    assert error.field == "name"
    assert "orbb" not in error.problem
    assert "'orb'" in error.problem
