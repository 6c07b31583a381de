"""Money and prices as integer paise. Decimal at the edges, int inside, float nowhere but indicator arrays."""

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_HALF_UP, Context, Decimal, InvalidOperation

from tradebus.kernel.errors import InvalidInput

PAISE_PER_RUPEE = 100
RUPEES_MAX = 10**15  # ten crore crore: far above any amount, far below what 64 bits of paise hold
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)  # the default would round silently at 28 digits


def rupees_to_paise(value: Decimal | int | str, *, name: str) -> int:
    """Exact conversion. Raises InvalidInput naming `name` where the value is no number, is finer than a paisa or is
    beyond ±RUPEES_MAX."""
    try:
        rupees = Decimal(str(value))
    except InvalidOperation as error:
        raise InvalidInput(f"{name}: {str(value)[:40]!r} is not an amount in rupees") from error
    if not rupees.is_finite():
        raise InvalidInput(f"{name}: {str(value)[:40]!r} is not an amount in rupees")
    if rupees.copy_abs() > RUPEES_MAX:  # copy_abs, unlike abs, neither rounds nor overflows
        raise InvalidInput(f"{name}: {str(value)[:40]!r} is more than {RUPEES_MAX:,} rupees")
    paise = rupees.scaleb(2, _EXACT)
    whole = paise.to_integral_value()
    if paise != whole:
        raise InvalidInput(f"{name}: {str(value)[:40]!r} is finer than one paisa")
    return int(whole)


def paise_to_rupees(paise: int) -> Decimal:
    """Exact rupees with two decimals."""
    return (Decimal(paise) / PAISE_PER_RUPEE).quantize(Decimal("0.01"))


def plain_rupees(paise: float) -> str:
    """`123456.70`: two decimals, for reasons and JSON. Exact for whole paise below 2 ** 50."""
    return f"{paise / PAISE_PER_RUPEE:.2f}"


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


def largest(*, lot_size: int, freeze_quantity: int | None) -> int | None:
    """The most units of one order, None where there is no such rule."""
    return None if freeze_quantity is None else max(freeze_quantity // lot_size * lot_size, 1)


def slices(quantity: int, *, lot_size: int, freeze_quantity: int | None) -> list[int]:
    """The quantity in orders that the exchange takes, the largest first."""
    most = largest(lot_size=lot_size, freeze_quantity=freeze_quantity)
    if most is None or quantity <= most:
        return [quantity]
    whole, rest = divmod(quantity, most)
    return [most] * whole + ([rest] if rest else [])
