"""An amount of money divided by weights, to the last 10^-12 USD: what is rounded off goes to the largest remainders."""

from collections.abc import Sequence
from decimal import Decimal

PLACES = 12
_UNIT = Decimal(1).scaleb(-PLACES)
_SCALE = 10**12


def allocate(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Return a share of the amount for each weight, in proportion to it; the shares add up to the amount, exactly.

    Each share is the exact one or what remains of rounding it towards zero and giving the units that are left over to the largest
    remainders, the first of equals. A negative amount is divided as the same positive one. ``ValueError`` for a negative weight, or
    where no weight is above 0.
    """
    sizes = [_units(weight) for weight in weights]
    total = sum(sizes)
    if total <= 0 or min(sizes) < 0:
        raise ValueError("an amount can only be divided by weights of 0 or more, one of them above 0")
    units = _units(amount)
    sign, whole = (-1 if units < 0 else 1), abs(units)
    shares, remainders = zip(*(divmod(whole * size, total) for size in sizes), strict=True)
    first = sorted(range(len(sizes)), key=lambda number: -remainders[number])[: whole - sum(shares)]
    more = set(first)
    return [Decimal(sign * (share + (number in more))) * _UNIT for number, share in enumerate(shares)]


def _units(value: Decimal) -> int:
    numerator, denominator = value.as_integer_ratio()
    whole, rest = divmod(numerator * _SCALE, denominator)
    if rest:
        raise ValueError(f"{value} has more than {PLACES} decimal places")
    return whole
