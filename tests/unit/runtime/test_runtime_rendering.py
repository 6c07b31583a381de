"""Facts and messages: the same fields, there and back."""

from dataclasses import fields

import pytest
from testkit.messages import sample

from tradebus.contracts import orders, risk, signals
from tradebus.contracts.base import Message
from tradebus.contracts.orders import Reconciled
from tradebus.contracts.registry import MESSAGES
from tradebus.contracts.signals import EntrySignal
from tradebus.runtime.rendering import fact_of, message_of
from tradebus.trading.facts import FACTS, Fact

# Said of an account or of a strategy's file, not of a trade.
_ONLY_MESSAGES = {"RECONCILED", "RECONCILE_MISMATCH", "STRATEGY_FAILED"}


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.TYPE)
def test_a_fact_has_the_fields_of_its_message(fact: type[Fact]) -> None:
    expected = set(MESSAGES[fact.TYPE].model_fields) - {"source", "ts_recorded_ns"}
    assert {field.name for field in fields(fact)} == expected


@pytest.mark.parametrize("module", [signals, risk, orders], ids=lambda module: module.__name__)
def test_every_message_of_trading_has_a_fact(module: object) -> None:
    said = {
        item.TYPE for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Message) and "TYPE" in vars(item)
    }  # fmt: skip
    assert said - _ONLY_MESSAGES == said & {fact.TYPE for fact in FACTS}


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.TYPE)
def test_what_is_read_and_rendered_again_is_the_same_message(fact: type[Fact]) -> None:
    message = sample(MESSAGES[fact.TYPE])
    again = message_of(fact_of(message), source=message.source, recorded_ns=message.ts_recorded_ns)
    assert again == message
    assert fact_of(again) == fact_of(message)


def test_a_message_that_is_no_fact_of_trading_is_refused_by_its_type() -> None:
    with pytest.raises(ValueError, match="RECONCILED is no signal"):
        fact_of(sample(Reconciled))


def test_a_signal_without_a_session_is_refused() -> None:
    with pytest.raises(ValueError, match="names no session"):
        fact_of(sample(EntrySignal, session_id=None))
