"""JSON values of a command → amounts and plain Python values."""

from decimal import Decimal
from typing import Any

from services.gateway.domain.problems import Problems, kind_of
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import rupees_to_paise

MAX_RUPEES = 10**11  # ten thousand crore: far above any account, far below where 64-bit paise end


def money_paise(value: Any, *, at: str, problems: Problems, required: bool = False) -> int | None:
    """Rupees (a number, or decimal text) to positive paise, exactly; None after a problem, or where absent."""
    if value is None:
        if required:
            problems.add(at, "is missing: an amount in rupees")
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        problems.add(at, f"must be an amount in rupees, not {kind_of(value)}")
        return None
    if isinstance(value, str) and (len(value) > 20 or not value.replace(".", "", 1).isascii()):
        problems.add(at, "must be an amount in rupees")
        return None
    try:
        amount = Decimal(value)
        in_range = 0 < amount <= MAX_RUPEES
        if in_range:
            return rupees_to_paise(amount, name=at)
    except InvalidInput as error:
        problems.add(at, str(error).removeprefix(f"{at}: "))
    except ArithmeticError:
        problems.add(at, "must be an amount in rupees")
    else:
        problems.add(at, f"must be above 0 and at most {MAX_RUPEES} rupees")
    return None


def plain(value: Any) -> Any:
    """The same tree with floats where the command had decimals, for fields that are no money."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
