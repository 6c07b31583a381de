"""A session's state as JSON, for `risk_state.state`.

Invariant, property-tested: encoding and decoding give the same state back.
"""

import json
from functools import lru_cache

from pydantic import TypeAdapter

from tradebus.risk.state import RiskHolding, RiskState

_STATE, _HOLDING = TypeAdapter(RiskState), TypeAdapter(RiskHolding)
_HOLDINGS_KEPT = 8_192  # as text: of those of a state nearly all are as they were when it was written last


def encode(state: RiskState) -> str:
    rest = _STATE.dump_json(state, exclude={"holdings"}, exclude_defaults=True).decode()
    if not state.holdings:
        return rest
    holdings = ",".join([_member(pos_id, holding) for pos_id, holding in state.holdings.items()])
    return f'{{"holdings":{{{holdings}}}{"" if rest == "{}" else ","}{rest[1:]}'


def decode(text: str | bytes) -> RiskState:
    """Raises ValueError where `text` is no encoded state."""
    return _STATE.validate_json(text)


@lru_cache(_HOLDINGS_KEPT)
def _member(pos_id: str, holding: RiskHolding) -> str:
    return f"{json.dumps(pos_id)}:{_HOLDING.dump_json(holding, exclude_defaults=True).decode()}"
