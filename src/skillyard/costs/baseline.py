"""What calls would cost at other prices: the same usage, another model, exact to the last place.

The baseline of a day asks what its settled answers would have cost had each one gone to the expert tier's first deployment:
the same tokens at that model's prices of the call's UTC day, each call rounded once, half-even, as its own cost was. An expert
model priced by compute is charged for the seconds the call itself took. It is modelled: a better model writes other answers.
"""

from collections.abc import Mapping
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.tables import MONEY

METERS = {
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "output": "output_tokens",
    "compute_s": "compute_s",
}
"""The column of ``llm_calls`` that each meter of the price book is charged for."""
_RATE = pa.decimal256(28, 20)
_EXACT = pa.decimal256(66, 26)


def cost_at(calls: pa.Table, rates: Mapping[str, Decimal]) -> pa.ChunkedArray:
    """Return what each call's usage costs at the rates, as ``PriceBook.cost`` would: one amount per row, rounded to 12 places."""
    exact = [_charge(calls.column(column), rates[meter]) for meter, column in METERS.items()]
    total = exact[0]
    for charge in exact[1:]:
        total = pc.add(total, charge)
    return pc.round(total, ndigits=12, round_mode="half_to_even").cast(MONEY)


def _charge(amounts: pa.ChunkedArray, rate: Decimal) -> pa.ChunkedArray:
    wide = amounts.cast(pa.decimal256(25, 6) if pa.types.is_decimal(amounts.type) else pa.decimal256(19, 0))
    return pc.multiply(wide, pa.scalar(rate, _RATE)).cast(_EXACT)
