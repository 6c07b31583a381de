"""A session's state as JSON, for `risk_state.state`.

Invariant, property-tested: encoding and decoding give the same state back.
"""

from pydantic import TypeAdapter

from tradebus.risk.state import RiskState

_ADAPTER = TypeAdapter(RiskState)


def encode(state: RiskState) -> str:
    return _ADAPTER.dump_json(state, exclude_defaults=True).decode()


def decode(text: str | bytes) -> RiskState:
    """Raises ValueError where `text` is no encoded state."""
    return _ADAPTER.validate_json(text)
