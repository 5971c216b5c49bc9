"""Reading providers' cost reports: each form of them, exact amounts, and what is refused."""

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skillyard.costs.reconciling.cost_reports import CostReport, narrowed, read_report
from skillyard.costs.reconciling.cost_reports.bedrock import parse_usage_type
from skillyard.costs.reconciling.cost_reports.openai import parse_item
from skillyard.costs.reconciling.model_names import ledger_model
from skillyard.errors import ConfigError, UnknownName

DAY, TODAY = date(2026, 11, 3), date(2026, 11, 10)
ZERO = Decimal(0)


def epoch(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def openai_page(*results: dict[str, Any], day: date = DAY, **page: Any) -> dict[str, Any]:
    bucket = {"object": "bucket", "start_time": epoch(day), "end_time": epoch(day + timedelta(days=1)), "results": list(results)}
    return {"object": "page", "data": [bucket], "has_more": False, "next_page": None, **page}


def cost(item: str | None, value: Any, project: str | None = "proj_a") -> dict[str, Any]:
    money = {"value": value, "currency": "usd"}
    return {"object": "organization.costs.result", "amount": money, "line_item": item, "project_id": project}


def usage(model: str | None, **changes: Any) -> dict[str, Any]:
    counts = {"input_tokens": 1000, "input_cached_tokens": 800, "output_tokens": 50, "num_model_requests": 5}
    return {"object": "organization.usage.completions.result", **counts, "model": model, "batch": False, "project_id": "proj_a"} | changes


def anthropic_page(*results: dict[str, Any], day: date = DAY, **page: Any) -> dict[str, Any]:
    ends = day + timedelta(days=1)
    bucket = {"starting_at": f"{day}T00:00:00Z", "ending_at": f"{ends}T00:00:00Z", "results": list(results)}
    return {"data": [bucket], "has_more": False, "next_page": None, **page}


def written(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def read(provider: str, folder: Path, *contents: tuple[str, Any]) -> CostReport:
    return read_report(provider, [written(folder, name, content) for name, content in contents], TODAY)


def tokens(report: CostReport) -> dict[tuple[str, str, str], int]:
    return {(count.model, count.service_tier, count.part): count.n for count in report.counts if count.n}


def amounts(report: CostReport) -> dict[str, Decimal]:
    return {charge.item: charge.amount_usd for charge in report.charges}


def test_pages_of_openai_give_exact_amounts_and_disjoint_tokens(tmp_path: Path) -> None:
    text = json.dumps(
        [openai_page(cost("gpt-6-luna-2026-01-15, cached input", 1)), openai_page(usage("gpt-6-luna-2026-01-15", batch=True))]
    )
    report = read("openai", tmp_path, ("costs.json", text.replace('"value": 1', '"value": 0.1234567890123456789')))
    assert amounts(report) == {"gpt-6-luna-2026-01-15, cached input": Decimal("0.1234567890123456789")}
    (charge,) = report.charges
    assert (charge.day, charge.model, charge.is_tokens, charge.project) == (DAY, "gpt-6-luna-2026-01-15", True, "proj_a")
    model = "gpt-6-luna-2026-01-15"
    counts = {"input": 200, "cache_read": 800, "output": 50, "requests": 5}
    assert tokens(report) == {(model, "batch", part): n for part, n in counts.items()}
    assert report.days == (DAY,) and report.unit_usd == Decimal("1E-12")


def test_the_dashboards_exports_say_the_same_as_the_api(tmp_path: Path) -> None:
    columns = "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id"
    span = f"{epoch(DAY)},{epoch(DAY + timedelta(days=1))},2026-11-03T00:00:00+00:00,2026-11-04T00:00:00+00:00"
    nothing = f"{epoch(DAY + timedelta(days=1))},{epoch(DAY + timedelta(days=2))},x,x,,,,,"
    costs = f'{columns}\n{span},0.50000000,usd,"gpt-6-luna-2026-01-15, input",proj_a,org\n{nothing}\n'
    used = "start_time,end_time,project_id,num_model_requests,model,batch,service_tier,input_tokens,output_tokens,input_cached_tokens"
    usages = f"{used}\n{epoch(DAY)},{epoch(DAY + timedelta(days=1))},proj_a,5,gpt-6-luna-2026-01-15,True,default,1000,50,800\n"
    report = read("openai", tmp_path, ("costs.csv", costs), ("usage.csv.gz", usages))
    assert report.days == (DAY, DAY + timedelta(days=1)) and report.source == "costs.csv, usage.csv.gz"
    assert amounts(report) == {"gpt-6-luna-2026-01-15, input": Decimal("0.5")} and report.unit_usd == Decimal("1E-8")
    assert tokens(report)["gpt-6-luna-2026-01-15", "batch", "cache_read"] == 800


@pytest.mark.parametrize(
    ("item", "parsed"),
    [
        ("gpt-5.5-2026-04-23, cached input", ("gpt-5.5-2026-04-23", "standard", "cache_read")),
        ("priority | gpt-5.6-sol, output, long context", ("gpt-5.6-sol", "priority", "output")),
        ("gpt-5-nano, input_tokens", ("gpt-5-nano", "standard", "input")),
        ("batch | gpt-6-luna, input", ("gpt-6-luna", "batch", "input")),
        ("gpt-4o", ("gpt-4o", "standard", "")),
        ("whisper-1, audio", ("whisper-1", "standard", None)),
        ("web search tool calls", ("", "standard", None)),
    ],
)
def test_a_line_item_names_model_price_list_and_part(item: str, parsed: tuple[str, str, str | None]) -> None:
    assert parse_item(item) == parsed


def test_pages_of_anthropic_are_in_cents_and_know_both_kinds_of_cache_writes(tmp_path: Path) -> None:
    charge = {"currency": "USD", "amount": "123.45", "description": "Claude Haiku 4.5 Output", "model": "claude-haiku-4-5-20251001"}
    search = {"currency": "USD", "amount": "100", "description": "Web search", "model": None, "cost_type": "web_search"}
    used = {
        "uncached_input_tokens": 10,
        "cache_read_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 40},
        "output_tokens": 50,
        "model": "claude-haiku-4-5-20251001",
        "service_tier": "batch",
    }
    report = read("anthropic", tmp_path, ("pages.json", [anthropic_page(charge | {"cost_type": "tokens"}, search), anthropic_page(used)]))
    assert amounts(report) == {"Claude Haiku 4.5 Output": Decimal("1.2345"), "Web search": Decimal(1)}
    assert [charge.is_tokens for charge in report.charges] == [True, False] and report.unit_usd == Decimal("0.0001")
    counts = {"input": 10, "cache_read": 20, "cache_write": 30, "cache_write_1h": 40, "output": 50}
    assert tokens(report) == {("claude-haiku-4-5-20251001", "batch", part): n for part, n in counts.items()}


def test_the_consoles_exports_are_read(tmp_path: Path) -> None:
    costs = (
        "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type\n"
        "2026-11-03,Claude Haiku 4.5,Default,k,message,≤ 200k,input_no_cache,0.05,0.05,token\n"
        "2026-11-03,,Default,k,message,,,1.00,1.00,web_search\n"
    )
    used = (
        "usage_date_utc,model_version,api_key,workspace,usage_type,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
        "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens\n"
        "2026-11-03,claude-haiku-4-5-20251001,k,Default,batch,10,30,40,20,50\n"
    )
    report = read("anthropic", tmp_path, ("costs.csv", costs), ("usage.csv", used))
    assert amounts(report) == {"Claude Haiku 4.5 input_no_cache": Decimal("0.05"), "web_search": Decimal(1)}
    assert tokens(report)["claude-haiku-4-5-20251001", "batch", "cache_write_1h"] == 40


CUR = (
    "line_item_usage_start_date,line_item_usage_end_date,line_item_product_code,line_item_line_item_type,line_item_usage_type,"
    "line_item_usage_amount,line_item_unblended_cost,line_item_currency_code,line_item_usage_account_id,pricing_unit\n"
    "2026-11-03T00:00:00.000Z,2026-11-03T01:00:00.000Z,AmazonBedrock,Usage,USE1-Claude4.6Opus-input-tokens,"
    "29.481,0.0972873,USD,1234,1K tokens\n"
    "2026-11-03T05:00:00.000Z,2026-11-03T06:00:00.000Z,AmazonBedrock,Usage,USE1-Claude4.6Opus-output-tokens-batch,"
    "2.5,0.04,USD,1234,1K tokens\n"
    "2026-11-03T00:00:00.000Z,2026-11-04T00:00:00.000Z,AmazonBedrock,Tax,USE1-Tax,1,9.99,USD,1234,\n"
    "2026-11-03T00:00:00.000Z,2026-11-04T00:00:00.000Z,AmazonEC2,Usage,BoxUsage:t3,1,9.99,USD,1234,Hrs\n"
)


@pytest.mark.parametrize("form", ["cur.csv", "cur.csv.gz", "cur.parquet"])
def test_a_cost_and_usage_report_of_aws_is_read_in_each_form(tmp_path: Path, form: str) -> None:
    if form.endswith(".parquet"):
        names, *rows = [line.split(",") for line in CUR.splitlines()]
        columns: dict[str, Any] = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        for name in ("line_item_usage_amount", "line_item_unblended_cost"):
            columns[name] = [float(value) for value in columns[name]]
        for name in ("line_item_usage_start_date", "line_item_usage_end_date"):
            columns[name] = pa.array([datetime.fromisoformat(value) for value in columns[name]], pa.timestamp("us", "UTC"))
        pq.write_table(pa.table(columns), tmp_path / form)
        report = read_report("bedrock", [tmp_path / form], TODAY)
    else:
        report = read("bedrock", tmp_path, (form, CUR))
    assert amounts(report) == {
        "USE1-Claude4.6Opus-input-tokens": Decimal("0.0972873"),
        "USE1-Claude4.6Opus-output-tokens-batch": Decimal("0.04"),
    }
    assert tokens(report) == {("Claude4.6Opus", "standard", "input"): 29481, ("Claude4.6Opus", "batch", "output"): 2500}
    assert report.notes == ("rows of type Tax are left out: they are no charges of a model",)


def explorer(*groups: dict[str, Any], start: str = "2026-11-03", end: str = "2026-11-04", **page: Any) -> dict[str, Any]:
    return {"ResultsByTime": [{"TimePeriod": {"Start": start, "End": end}, "Groups": list(groups), "Estimated": True}], **page}


def group(usage_type: str, usd: str, quantity: str) -> dict[str, Any]:
    metrics = {"UnblendedCost": {"Amount": usd, "Unit": "USD"}, "UsageQuantity": {"Amount": quantity, "Unit": "N/A"}}
    return {"Keys": [usage_type], "Metrics": metrics}


def test_the_answer_of_cost_explorer_is_read(tmp_path: Path) -> None:
    page = explorer(group("USW2-Claude4.5Sonnet-cache-write-input-token-count", "1.789808625", "433.893"), group("BoxUsage:t3", "5", "1"))
    report = read("bedrock", tmp_path, ("ce.json", page))
    assert amounts(report) == {"USW2-Claude4.5Sonnet-cache-write-input-token-count": Decimal("1.789808625")}
    assert tokens(report) == {("Claude4.5Sonnet", "standard", "cache_write"): 433_893}
    assert [note.split()[0] for note in report.notes] == ["2026-11-03", "BoxUsage:t3"]


@pytest.mark.parametrize(
    ("usage_type", "parsed"),
    [
        ("USE1-Claude4.6Opus-input-tokens-cross-region-global", ("Claude4.6Opus", "standard", "input")),
        (
            "USW2-anthropic.claude-opus-4-8-mantle-cache-write-tokens-global-standard",
            ("anthropic.claude-opus-4-8", "standard", "cache_write"),
        ),
        ("USE1-Nova2.0Pro-text-input-tokens-priority-cross-region-global", ("Nova2.0Pro", "priority", "input")),
        ("USE1-Claude4.5Sonnet-cache-write-1h-input-token-count", ("Claude4.5Sonnet", "standard", "cache_write_1h")),
        ("USW2-MP:USW2_CacheReadInputTokenCount_Global-Units", ("Claude Opus 5.5", "standard", "cache_read")),
        ("USE1-Guardrail-ContentPolicyUnits", ("", "standard", None)),
    ],
)
def test_a_usage_type_names_model_price_list_and_part(usage_type: str, parsed: tuple[str, str, str | None]) -> None:
    assert parse_usage_type(usage_type, "Claude Opus 5.5 (Amazon Bedrock Edition)") == parsed


KNOWN = (
    "openai/gpt-6-luna",
    "openai/gpt-4o",
    "openai/gpt-4o-2024-05-13",
    "openai/gpt-4o-mini",
    "anthropic/claude-haiku-4-5",
    "bedrock/us.anthropic.claude-opus-4-6-v1:0",
    "bedrock/amazon.nova-2-lite-v1:0",
)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-6-luna-2026-01-15", "openai/gpt-6-luna"),
        ("gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13"),
        ("gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
        ("claude-haiku-4-5-20251001", "anthropic/claude-haiku-4-5"),
        ("Claude Haiku 4.5", "anthropic/claude-haiku-4-5"),
        ("Claude4.6Opus", "bedrock/us.anthropic.claude-opus-4-6-v1:0"),
        ("Nova2.0Lite", "bedrock/amazon.nova-2-lite-v1:0"),
        ("gpt-4.1", None),
    ],
)
def test_a_model_is_known_under_all_its_names(name: str, model: str | None) -> None:
    assert ledger_model(name, KNOWN) == model


PAGE = openai_page(cost("gpt-6-luna, input", 1))
BAD: list[tuple[str, str, Any, str]] = [
    ("openai", "a.json", "{", r"a\.json is not JSON"),
    ("openai", "a.json", {"lines": []}, r"a\.json: it has no list of buckets named data"),
    ("openai", "a.json", openai_page(cost(None, 1)), r"data\[0\]\.results\[0\]: line_item is empty.*group_by=line_item"),
    ("openai", "a.json", openai_page(cost("m", "1,5")), r"results\[0\]: amount\.value is '1,5'"),
    (
        "openai",
        "a.json",
        openai_page(cost("m", 1) | {"amount": {"value": 1, "currency": "eur"}}),
        "the currency is 'eur': it has to be USD",
    ),
    ("openai", "a.json", openai_page(cost("m", 1), has_more=True), "has_more says that there are further pages"),
    ("openai", "a.json", [PAGE, PAGE], r"page 2: costs of 2026-11-03 stand in a\.json: page 1 too"),
    ("openai", "a.json", openai_page(usage("m")), "there are token counts but no costs"),
    ("openai", "a.json", [PAGE, openai_page(usage(None))], r"page 2: data\[0\]\.results\[0\]: the model is empty"),
    ("openai", "a.json", [PAGE, openai_page(usage("m", input_cached_tokens=1001))], "fewer than the 1001 of them"),
    ("openai", "a.json", [PAGE, openai_page(usage("m", output_tokens=-1))], "output_tokens is '-1': it has to be a whole number"),
    ("openai", "a.json", openai_page(cost("m, input", 1), day=TODAY), "2026-11-10 is not over yet"),
    ("openai", "a.csv", "day,amount\n2026-11-03,1\n", r"a\.csv:1: start_time, end_time.* is missing, there is day, amount"),
    ("anthropic", "a.json", anthropic_page({"currency": "USD", "amount": 1, "description": "x"}), "has to be a decimal number of cents"),
    ("anthropic", "a.csv", "usage_date_utc,model,token_type,cost_usd\nNov 3,m,output,1\n", r"a\.csv:2: usage_date_utc is 'Nov 3'"),
    ("anthropic", "a.csv", "usage_date_utc,model,token_type,cost_usd\n2026-11-03,m,output\n", r"a\.csv:2: the row does not have 4 fields"),
    ("bedrock", "a.csv", CUR.replace("AmazonBedrock", "AmazonS3"), "none of its rows is of Amazon Bedrock"),
    ("bedrock", "a.csv", CUR.replace("29.481", "many"), r"a\.csv:2: line_item_usage_amount is 'many'"),
    ("bedrock", "a.csv", CUR.replace("2026-11-03T01:00", "2026-12-01T00:00"), "export by day or hour, not by month"),
    ("bedrock", "a.json", explorer(start="2026-10-01", end="2026-11-01"), "it has to be one whole UTC day"),
    ("bedrock", "a.json", explorer(NextPageToken="x"), "NextPageToken says that there are further pages"),
    ("bedrock", "a.json", explorer({"Keys": ["a-input-tokens"], "Metrics": {}}), r"Groups\[0\]: it needs one key"),
]


@pytest.mark.parametrize(("provider", "name", "content", "says"), BAD, ids=[says for *_, says in BAD])
def test_what_is_malformed_partial_or_doubled_is_refused_by_its_place(
    tmp_path: Path, provider: str, name: str, content: Any, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        read(provider, tmp_path, (name, content))


def test_a_bucket_in_another_time_zone_is_refused(tmp_path: Path) -> None:
    page = anthropic_page()
    page["data"][0] |= {"starting_at": "2026-11-03T00:00:00-05:00", "ending_at": "2026-11-04T00:00:00-05:00"}
    with pytest.raises(ConfigError, match=r"from 2026-11-03T05:00:00Z to 2026-11-04T05:00:00Z: it has to be one whole UTC day"):
        read("anthropic", tmp_path, ("a.json", page))


def test_a_missing_file_and_another_provider_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json cannot be read: No such file"):
        read_report("openai", [tmp_path / "none.json"], TODAY)
    with pytest.raises(UnknownName, match="provider 'gemini'"):
        read_report("gemini", [], TODAY)


def test_a_report_is_narrowed_to_days_and_projects_and_is_whole_for_days_that_are_given(tmp_path: Path) -> None:
    pages = [
        openai_page(cost("m, input", 1), cost("m, output", 2, "proj_b")),
        openai_page(cost("m, input", 4), day=DAY + timedelta(days=1)),
    ]
    report = read("openai", tmp_path, ("a.json", pages))
    assert sum((charge.amount_usd for charge in narrowed(report, None, None, ["proj_b"]).charges), ZERO) == 2
    assert narrowed(report, DAY, DAY).days == (DAY,) and len(narrowed(report, None, DAY).charges) == 2
    assert narrowed(report, DAY - timedelta(days=2), DAY).days == (DAY - timedelta(days=2), DAY - timedelta(days=1), DAY)
    with pytest.raises(ConfigError, match="no charges of project 'proj_c'; it has those of proj_a, proj_b"):
        narrowed(report, None, None, ["proj_c"])
