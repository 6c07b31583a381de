"""One name for an instrument at every broker.

    NSE:INFY   INDEX:NIFTY   NFO:NIFTY:2026-12-29:FUT   NFO:NIFTY:2026-12-29:26000:CE   BFO:SENSEX:2026-12-31:850.50:PE

Brokers' own ids and symbols are looked up through it and never built from it. Invariant (property-tested): a key's text
parses to the same key, and different keys have different texts.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import paise_to_rupees, rupees_to_paise


class Segment(StrEnum):
    """Where it is listed. INDEX is for values that are watched, never traded."""

    NSE = "NSE"
    NFO = "NFO"
    BSE = "BSE"
    BFO = "BFO"
    INDEX = "INDEX"


class Right(StrEnum):
    """An option's right."""

    CALL = "CE"
    PUT = "PE"


@dataclass(frozen=True, slots=True, order=True)
class InstrumentKey:
    """`name` is the stock's or index' exchange symbol (NIFTY, INFY). A future has an expiry and no strike."""

    segment: Segment
    name: str
    expiry: date | None = None
    strike_paise: int | None = None
    right: Right | None = None

    @property
    def is_derivative(self) -> bool:
        return self.segment in (Segment.NFO, Segment.BFO)

    @property
    def is_option(self) -> bool:
        return self.right is not None

    def __str__(self) -> str:
        if self.expiry is None:
            return f"{self.segment}:{self.name}"
        if self.right is None or self.strike_paise is None:
            return f"{self.segment}:{self.name}:{self.expiry.isoformat()}:FUT"
        rupees = paise_to_rupees(self.strike_paise)
        strike = f"{rupees:.0f}" if rupees == rupees.to_integral_value() else str(rupees)
        return f"{self.segment}:{self.name}:{self.expiry.isoformat()}:{strike}:{self.right}"

    @classmethod
    def parse(cls, text: str) -> "InstrumentKey":
        """Raises InvalidInput that says how a key is written."""
        parts = text.strip().split(":")
        try:
            segment = Segment(parts[0])
            key = _parse(segment, parts)
        except (ValueError, InvalidInput):
            key = None
        if key is None or not key.name or str(key) != text.strip():
            raise InvalidInput(
                f"instrument key: {text[:60]!r} is none; write NSE:INFY, INDEX:NIFTY, NFO:NIFTY:2026-12-29:FUT or "
                "NFO:NIFTY:2026-12-29:26000:CE"
            )
        return key


def _parse(segment: Segment, parts: list[str]) -> InstrumentKey | None:
    derivative = segment in (Segment.NFO, Segment.BFO)
    if not derivative and len(parts) == 2:
        return InstrumentKey(segment, parts[1])
    if derivative and len(parts) == 4 and parts[3] == "FUT":
        return InstrumentKey(segment, parts[1], date.fromisoformat(parts[2]))
    if derivative and len(parts) == 5:
        strike = rupees_to_paise(parts[3], name="strike")
        return InstrumentKey(segment, parts[1], date.fromisoformat(parts[2]), strike, Right(parts[4]))
    return None
