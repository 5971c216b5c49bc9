"""Compute seconds: what a call to an endpoint of our own is charged, where the endpoint does not report them itself.

Such an endpoint is paid by the hour, busy or idle; its price in the book is that of a second: the hourly rate / 3600. It serves
``concurrency`` requests at once and is busy ``utilisation`` of the time it is paid for. A call's share of the machine is therefore its
latency / concurrency, and its share of the idle time comes on top: latency / (concurrency x utilisation). Over a period in which the
endpoint was really busy that much, its calls together are charged exactly the period.
"""

from decimal import ROUND_HALF_EVEN, Decimal

PLACES = Decimal("0.000001")


def compute_seconds(latency_s: Decimal | float, concurrency: int, utilisation: Decimal | float) -> Decimal:
    """Return the machine seconds of a call, to 6 places, half-even; no call is charged more than those of its timeout."""
    return (Decimal(str(latency_s)) / (concurrency * Decimal(str(utilisation)))).quantize(PLACES, ROUND_HALF_EVEN)


def idle_seconds(compute_s: Decimal, utilisation: Decimal | float) -> Decimal:
    """Return those of a call's machine seconds that pay for time in which the endpoint had nothing to do, to 6 places, half-even."""
    return (compute_s * (1 - Decimal(str(utilisation)))).quantize(PLACES, ROUND_HALF_EVEN)
