"""A bill is read to the last decimal, and refused with file and line when something is wrong with it."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillyard.costs.reconciling.bill import read_bill
from skillyard.errors import ConfigError

LINE = {"call_id": "a", "model": "m", "amount_usd": "0.0000000375"}


def json_bill(folder: Path, *lines: Any, **rest: Any) -> Path:
    path = folder / "bill.json"
    path.write_text(json.dumps({"lines": lines, **rest} if rest else list(lines)))
    return path


def csv_bill(folder: Path, *rows: str) -> Path:
    path = folder / "bill.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_csv_and_json_say_the_same(tmp_path: Path) -> None:
    line = {"call_id": "a", "request_id": "chat-1", "model": "m", "input_tokens": 7, "amount_usd": "0.000000037501", "project": "x"}
    from_csv = read_bill(csv_bill(tmp_path, ",".join(line), ",".join(map(str, line.values())), "", "b,,m,,1,y"))
    from_json = read_bill(json_bill(tmp_path, line, {"call_id": "b", "model": "m", "amount_usd": 1}))
    for a, b in zip(from_csv, from_json, strict=True):
        assert (a.call_id, a.request_id, a.amount_usd, a.tokens) == (b.call_id, b.request_id, b.amount_usd, b.tokens)
    assert (from_csv[0].amount_usd, from_csv[0].tokens) == (Decimal("0.000000037501"), {"input_tokens": 7})
    assert (from_csv[1].request_id, from_csv[1].tokens) == (None, {})
    assert [line.where for line in from_csv] == ["bill.csv:2", "bill.csv:4"]


@given(st.decimals(0, 999_999, places=12))
def test_an_amount_survives_to_the_last_place_as_text_and_as_a_number(tmp_path_factory: pytest.TempPathFactory, usd: Decimal) -> None:
    path = tmp_path_factory.mktemp("bill") / "bill.json"
    path.write_text(f'[{{"call_id": "a", "model": "m", "amount_usd": "{usd:f}"}}, {{"call_id": "b", "model": "m", "amount_usd": {usd:f}}}]')
    assert [line.amount_usd for line in read_bill(path)] == [usd, usd]


def test_a_bill_of_nothing_has_no_lines(tmp_path: Path) -> None:
    assert read_bill(json_bill(tmp_path)) == []
    assert read_bill(csv_bill(tmp_path, "call_id,model,amount_usd")) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amount_usd": None}, "line 2: amount_usd is 'None'"),
        ({"amount_usd": "much"}, "line 2: amount_usd is 'much': it has to be USD, 0 or more"),
        ({"amount_usd": "-0.01"}, "line 2: amount_usd is '-0.01'"),
        ({"amount_usd": "NaN"}, "line 2: amount_usd is 'NaN'"),
        ({"amount_usd": float("inf")}, "line 2: amount_usd is 'inf'"),
        ({"amount_usd": True}, "line 2: amount_usd is 'True'"),
        ({"amount_usd": "0.0000000000001"}, "at most 12 places"),
        ({"amount_usd": "1e30"}, "below 1000000"),
        ({"call_id": ""}, "line 2: call_id and request_id are both empty"),
        ({"call_id": 7}, "line 2: call_id is '7': it has to be text"),
        ({"call_id": "a"}, r"line 2: call_id a stands in .*bill\.json: line 1 too"),
        ({"call_id": None, "request_id": "first"}, r"line 3: request_id first stands in .*line 2 too"),
        ({"output_tokens": -1}, "line 2: output_tokens is '-1'"),
        ({"output_tokens": 1.5}, "line 2: output_tokens is '1.5': it has to be a whole number"),
    ],
)
def test_a_bad_line_of_json_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    third = LINE | {"call_id": None, "request_id": "first"}
    with pytest.raises(ConfigError, match=message):
        read_bill(json_bill(tmp_path, LINE, LINE | {"call_id": "b"} | changes, third))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["call_id,model", "a,m"], r"bill\.csv:1: amount_usd is missing; there is call_id, model"),
        (["model,amount_usd", "m,1"], r"bill\.csv:1: call_id or request_id is missing"),
        ([""], r"bill\.csv:1: model, amount_usd, call_id or request_id is missing; there is nothing"),
        (["call_id,model,amount_usd", "a,m,1", "b,m,one"], r"bill\.csv:3: amount_usd is 'one'"),
        (["call_id,model,amount_usd", "a,m,1", "b,m"], r"bill\.csv:3: the row does not have 3 fields"),
        (["call_id,model,amount_usd", "a,m,1", "b,m,1,2"], r"bill\.csv:3: the row does not have 3 fields"),
        (["call_id,model,amount_usd", "a,m,1", "a,m,1"], r"bill\.csv:3: call_id a stands in .*bill\.csv:2 too"),
        (["call_id,model,amount_usd,input_tokens", "a,m,1,x"], r"bill\.csv:2: input_tokens is 'x'"),
        (["call_id,model,amount_usd", 'a,"m,1', "b,m,1"], r"bill\.csv:3: it is not CSV"),
    ],
)
def test_a_bad_line_of_csv_is_named(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_bill(csv_bill(tmp_path, *rows))


def test_a_bill_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"bill\.json: line 1: it is str"):
        read_bill(json_bill(tmp_path, "a"))
    with pytest.raises(ConfigError, match="line 1: amount_usd is missing"):
        read_bill(json_bill(tmp_path, {"call_id": "a", "model": "m"}))
    path = tmp_path / "bill.json"
    path.write_text('{"total": 1}')
    with pytest.raises(ConfigError, match="a list of lines, or an object"):
        read_bill(path)
    path.write_text('{"lines": [\n{"call_id": ]}')
    with pytest.raises(ConfigError, match=r"bill\.json:2: it is not JSON"):
        read_bill(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_bill(path)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_bill(tmp_path / "none.json")


def test_a_bill_that_was_cut_off_is_noticed_by_its_total(tmp_path: Path) -> None:
    assert len(read_bill(json_bill(tmp_path, LINE, total_usd="0.0000000375"))) == 1
    with pytest.raises(ConfigError, match=r"total_usd is '0\.01', but its 1 lines add up to 0\.0000000375"):
        read_bill(json_bill(tmp_path, LINE, total_usd="0.01"))
