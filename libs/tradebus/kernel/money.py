"""Money and prices as integer paise. Decimal at the edges, int inside, float nowhere but indicator arrays."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from tradebus.kernel.errors import InvalidInput

PAISE_PER_RUPEE = 100


def rupees_to_paise(value: Decimal | int | str, *, name: str) -> int:
    """Exact conversion. Raises InvalidInput naming `name` where the value is no number or is finer than a paisa."""
    try:
        amount = Decimal(str(value)) * PAISE_PER_RUPEE
        whole = amount.to_integral_value()
    except InvalidOperation as error:
        raise InvalidInput(f"{name}: {value!r} is not an amount in rupees") from error
    if amount != whole:
        raise InvalidInput(f"{name}: {value!r} is finer than one paisa")
    return int(whole)


def paise_to_rupees(paise: int) -> Decimal:
    """Exact rupees with two decimals."""
    return (Decimal(paise) / PAISE_PER_RUPEE).quantize(Decimal("0.01"))


def format_rupees(paise: int) -> str:
    """`₹1,23,456.70` with Indian grouping, for people."""
    sign = "-" if paise < 0 else ""
    whole, rest = divmod(abs(paise), PAISE_PER_RUPEE)
    digits = str(whole)
    head, tail = digits[:-3], digits[-3:]
    groups: list[str] = []
    while len(head) > 2:
        groups.insert(0, head[-2:])
        head = head[:-2]
    if head:
        groups.insert(0, head)
    return f"{sign}₹{','.join([*groups, tail])}.{rest:02d}"


def round_half_up(value: Decimal) -> int:
    """The nearest integer, halves away from zero."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def round_to_tick(price_paise: int, tick_size_paise: int) -> int:
    """The nearest multiple of the tick, halves up (SPEC 4)."""
    return (2 * price_paise + tick_size_paise) // (2 * tick_size_paise) * tick_size_paise


def round_down_to_lot(quantity: int, lot_size: int) -> int:
    """Whole lots only: the largest multiple of the lot that is not above `quantity`; 0 below one lot."""
    return max(0, quantity) // lot_size * lot_size
