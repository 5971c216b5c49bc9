"""What calls would cost at other prices: the same usage at other rates, exact to the last place."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from skillyard.lake.tables import MONEY

METERS = {
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "output": "output_tokens",
    "image": "n_images",
    "compute_s": "compute_s",
}
"""The column of ``llm_calls`` that each meter of the price book is charged for. ``request`` is charged by call."""
EXACT = pa.decimal256(66, 26)
"""Holds any number of units at any rate, unrounded."""
_RATE = pa.decimal256(28, 20)
_SEPARATOR = "\x1f"


def cost_at(calls: pa.Table, rates: Mapping[str, Decimal]) -> pa.ChunkedArray:
    """Return what each call's usage costs at the rates, as ``PriceBook.cost`` would: one amount per row, rounded to 12 places."""
    one = pa.chunked_array([pa.repeat(1, calls.num_rows)])
    columns = {part: _repeated(rates.get(part), calls.num_rows) for part in (*METERS, "request")}
    return pc.round(_exact(calls, one, columns), ndigits=12, round_mode="half_to_even").cast(MONEY)


def line_costs(
    lines: pa.Table, by: Sequence[str], rates_of: Callable[[tuple[str, ...]], Mapping[str, Decimal] | None], otherwise: pa.ChunkedArray
) -> pa.ChunkedArray:
    """Return what each line costs, unrounded (EXACT), at the rates of its values in the columns ``by``, which are passed on as text.

    Where there are no rates for them, ``otherwise`` stands.
    """
    values = pc.binary_join_element_wise(*(lines.column(name).cast(pa.string()) for name in by), _SEPARATOR)
    coded = values.combine_chunks().dictionary_encode()
    found = [rates_of(tuple(value.split(_SEPARATOR))) for value in coded.dictionary.to_pylist()]
    index = coded.indices
    columns = {
        part: pa.chunked_array([pa.array([(rates or {}).get(part, Decimal(0)) for rates in found], _RATE).take(index)])
        for part in (*METERS, "request")
    }
    is_priced = pa.array([rates is not None for rates in found], pa.bool_()).take(index)
    return pc.if_else(is_priced, _exact(lines, lines.column("n_calls"), columns), otherwise.cast(EXACT))


def _repeated(rate: Decimal | None, n: int) -> pa.ChunkedArray:
    return pa.chunked_array([pa.repeat(pa.scalar(rate or Decimal(0), _RATE), n)])


def _exact(rows: pa.Table, n_calls: pa.ChunkedArray, rates: Mapping[str, pa.ChunkedArray]) -> pa.ChunkedArray:
    total = _charge(n_calls, rates["request"])
    for part, column in METERS.items():
        total = pc.add(total, _charge(rows.column(column), rates[part]))
    return total.cast(EXACT)


def _charge(amounts: pa.ChunkedArray, rate: pa.ChunkedArray) -> pa.ChunkedArray:
    wide = amounts.cast(pa.decimal256(25, 6) if pa.types.is_decimal(amounts.type) else pa.decimal256(19, 0))
    return pc.multiply(wide, rate).cast(EXACT)
