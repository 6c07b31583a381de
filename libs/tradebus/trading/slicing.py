"""Quantities in orders that the exchange takes: no order is larger than the freeze quantity. Pure."""


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
