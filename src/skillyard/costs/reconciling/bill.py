"""A provider's bill: a JSON or CSV file with one line per request that the provider worked on.

A line has ``amount_usd``, ``model`` and ``call_id`` (the id that each request carries in the header ``x-skillyard-call-id``) or
``request_id`` (the provider's own), and may have the meters of the ledger. Other columns are left unread. JSON is a list of lines,
or an object with ``lines`` and, to notice a bill that was cut off, ``total_usd``.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from io import StringIO
from pathlib import Path
from typing import Any

from skillyard.costs.prices.book import PLACES
from skillyard.errors import ConfigError

METERS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens", "n_images")
MOST_USD = 1_000_000
"""What one request may be billed with; above it the column is surely another one."""


@dataclass(frozen=True, slots=True)
class BillLine:
    """One billed request."""

    call_id: str | None
    request_id: str | None
    model: str
    amount_usd: Decimal
    tokens: Mapping[str, int]
    """The meters that the line has."""
    where: str
    """File and line."""

    @property
    def key(self) -> str:
        """What the corrections of a request that the ledger does not have go by."""
        return f"bill:{self.call_id or self.request_id}"


def read_bill(path: Path) -> list[BillLine]:
    """Return the bill's lines. ConfigError names file and line of what is missing, malformed or doubled."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path} cannot be read: {reason}. The bill is a .json or .csv file.") from None
    lines = [_parse(row, where) for row, where in (_from_csv(path, text) if path.suffix == ".csv" else _from_json(path, text))]
    _refuse_doubles(lines, "call_id", ((line.call_id, line) for line in lines))
    _refuse_doubles(lines, "request_id", ((line.request_id, line) for line in lines if line.call_id is None))
    return lines


def _from_csv(path: Path, text: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    rows = csv.DictReader(StringIO(text, newline=""), strict=True)
    try:
        _require(rows.fieldnames or (), f"{path.name}:1")
        for row in rows:
            where = f"{path.name}:{rows.line_num}"
            if None in row or None in row.values():
                raise ConfigError(f"{where}: the row does not have {len(rows.fieldnames or ())} fields.")
            yield {name: value.strip() or None for name, value in row.items()}, where
    except csv.Error as error:
        raise ConfigError(f"{path}:{rows.reader.line_num}: it is not CSV: {error}.") from None


def _from_json(path: Path, text: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    try:
        value = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: it is not JSON: {error.msg}.") from None
    lines = value.get("lines") if isinstance(value, dict) else value
    if not isinstance(lines, list):
        raise ConfigError(f"{path}: a bill in JSON is a list of lines, or an object with a list named lines.")
    total = Decimal(0)
    for number, line in enumerate(lines, 1):
        where = f"{path.name}: line {number}"
        if not isinstance(line, dict):
            raise ConfigError(f"{where}: it is {type(line).__name__}, it has to be an object.")
        _require(line, where)
        total += _amount(line["amount_usd"], where)
        yield line, where
    said = value.get("total_usd") if isinstance(value, dict) else None
    if said is not None and _decimal(said) != total:
        raise ConfigError(f"{path}: total_usd is {_shown(said)}, but its {len(lines)} lines add up to {total:f}: the bill is not whole.")


def _require(names: Iterable[str], where: str) -> None:
    missing = [name for name in ("model", "amount_usd") if name not in names]
    if not {"call_id", "request_id"} & set(names):
        missing.append("call_id or request_id")
    if missing:
        raise ConfigError(f"{where}: {', '.join(missing)} is missing; there is {', '.join(map(str, names)) or 'nothing'}.")


def _parse(row: Mapping[str, Any], where: str) -> BillLine:
    call_id, request_id = _text(row, "call_id", where), _text(row, "request_id", where)
    if call_id is None and request_id is None:
        raise ConfigError(f"{where}: call_id and request_id are both empty: one of them has to say which request it is.")
    tokens = {name: _count(row[name], name, where) for name in METERS if row.get(name) is not None}
    return BillLine(call_id, request_id, _text(row, "model", where) or "", _amount(row["amount_usd"], where), tokens, where)


def _text(row: Mapping[str, Any], name: str, where: str) -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{where}: {name} is {_shown(value)}: it has to be text.")
    return value or None


def _amount(value: Any, where: str) -> Decimal:
    amount = _decimal(value)
    if not amount.is_finite() or not 0 <= amount < MOST_USD or amount != amount.quantize(PLACES):
        raise ConfigError(f"{where}: amount_usd is {_shown(value)}: it has to be USD, 0 or more, below {MOST_USD}, with at most 12 places.")
    return amount


def _decimal(value: Any) -> Decimal:
    """Return the number, NaN for what is none."""
    try:
        return Decimal(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        return Decimal("NaN")


def _count(value: Any, name: str, where: str) -> int:
    try:
        count = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else -1
    except ValueError:
        count = -1
    if count < 0:
        raise ConfigError(f"{where}: {name} is {_shown(value)}: it has to be a whole number, 0 or more.")
    return count


def _shown(value: Any) -> str:
    return repr(str(value))[:60]


def _refuse_doubles(lines: list[BillLine], name: str, keyed: Iterable[tuple[str | None, BillLine]]) -> None:
    first: dict[str, BillLine] = {}
    for key, line in keyed:
        if key is not None and (other := first.setdefault(key, line)) is not line:
            raise ConfigError(f"{line.where}: {name} {key} stands in {other.where} too: a request is billed in one line.")
