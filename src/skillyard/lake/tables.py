"""The frozen Arrow schema of every table: names, types and what each field means.

A field's description is kept in the Parquet metadata and in ``docs/data-dictionary.md``; so is the version of the table's schema, which
rises with every change of a column (``tests/lake/frozen_schemas.json`` holds what each version was). Money is
``decimal128(28, 12)`` in USD; timestamps are UTC microseconds. ``dt`` exists in the path only.
"""

from dataclasses import dataclass

import pyarrow as pa

MONEY = pa.decimal128(28, 12)
SECONDS = pa.decimal128(18, 6)
TIMESTAMP = pa.timestamp("us", tz="UTC")
DATE = pa.date32()
TEXT = pa.string()
LABEL = pa.dictionary(pa.int32(), pa.string())
"""One of few values: each is kept once, a row has its number."""
INT = pa.int64()
SHARE = pa.float64()


def _list_of(element: pa.DataType) -> pa.ListType:
    return pa.list_(pa.field("element", element, nullable=False))


HEADINGS = _list_of(
    pa.struct([pa.field(name, kind, False) for name, kind in (("level", pa.int32()), ("text", TEXT), ("offset", pa.int32()))])
)
GRIDS = _list_of(_list_of(_list_of(TEXT)))
"""Tables as rows of cells."""
TABLE_NAME, SCHEMA_VERSION = "skillyard_table", "skillyard_schema_version"
"""Keys in the metadata of every file."""
PURPOSE = "why it was asked: answer, routing (which tier?), vote, audit, judge or eval; correction: a provider's bill has it otherwise"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: ``partition`` names the date32 column whose value is ``dt`` in the path."""

    name: str
    description: str
    key: tuple[str, ...]
    partition: str
    schema: pa.Schema
    is_recomputed: bool = False
    """Exactly one object per partition, replaced as a whole; else rows are only ever appended."""
    version: int = 1
    """Of the schema; a results table has its skill's ``output.major``."""

    def __post_init__(self) -> None:
        """Let the schema, and so every file, say which table it is of and in which version."""
        marks = {TABLE_NAME: self.name, SCHEMA_VERSION: str(self.version)}
        object.__setattr__(self, "schema", self.schema.with_metadata(marks))


def field(name: str, type_: pa.DataType, description: str, nullable: bool = True) -> pa.Field:
    """Return a field that carries its own description."""
    return pa.field(name, type_, nullable=nullable, metadata={"description": description})


def required(name: str, type_: pa.DataType, description: str) -> pa.Field:
    """Return a field that is never null."""
    return field(name, type_, description, nullable=False)


DOCUMENTS = Table(
    "documents",
    "One row per version of a document found in the inbox.",
    ("doc_id", "uri", "run_id"),
    "ingested_on",
    pa.schema(
        [
            required("doc_id", TEXT, "sha256 of the document's bytes"),
            required("uri", TEXT, "where the document was found"),
            field("parent_doc_id", TEXT, "the archive or message it was found in; its uri is then <uri of that>!/<path in it>"),
            required(
                "kind",
                TEXT,
                "pdf, docx, pptx, xlsx, csv, html, eml, msg, txt, md, image, zip, tar; by content; unknown for some rejects",
            ),
            required("mime_type", TEXT, "type by content"),
            required("size_bytes", INT, "size of the object"),
            required("etag", TEXT, "the store's change mark when it was read"),
            field("modified_at", TIMESTAMP, "the store's modification time"),
            field("title", TEXT, "title from the document's own metadata or first heading"),
            field("metadata", TEXT, "what else the document says of itself: a JSON object of author, subject, created, producer …"),
            field("language", TEXT, "ISO 639-1 of the whole text"),
            required("n_pages", pa.int32(), "pages written to the table pages (0 for a reject)"),
            required("n_chars", INT, "characters of text over all pages"),
            required("n_chunks", pa.int32(), "chunks written to the table chunks"),
            field("duplicate_of", TEXT, "the doc_id of an earlier document with nearly the same text"),
            required("status", TEXT, "parsed, unpacked (an archive: its members are documents), rejected, or deleted from the inbox since"),
            required("run_id", TEXT, "the run that ingested it"),
            required("ingested_at", TIMESTAMP, "when it was parsed"),
            required("ingested_on", DATE, "the UTC day of ingested_at, as in the path"),
        ]
    ),
)

PAGES = Table(
    "pages",
    "One row per page of a parsed document.",
    ("doc_id", "page_no"),
    "ingested_on",
    pa.schema(
        [
            required("doc_id", TEXT, "sha256 of the document's bytes"),
            required("page_no", pa.int32(), "from 1"),
            required("text", TEXT, "the page's text in reading order, without repeated headers and footers; empty unless status is text"),
            required("n_chars", pa.int32(), "characters of text"),
            field("language", TEXT, "ISO 639-1, null when there is too little text"),
            required("status", TEXT, "text, no_text (read, and there is none), ocr_unavailable (a scan, and no OCR here), unreadable"),
            required("parser", TEXT, "the library that read it"),
            required(
                "rescue_level",
                pa.int32(),
                "0: as it is, 1: junk before its start removed, 2: by the second reader, 3: by a throw-away reader",
            ),
            field(
                "ocr_confidence",
                SHARE,
                "mean confidence of the OCR over the page's words, 0..1; null when OCR did not read it",
            ),
            field("header", TEXT, "what stands at the top of most pages, taken out of text"),
            field("footer", TEXT, "what stands at the bottom of most pages, taken out of text"),
            required("headings", HEADINGS, "headings of the page, in order; offset: where it begins in text"),
            required("tables", GRIDS, "tables of the page as rows of cells, in order; their rows stand in text too"),
            required("run_id", TEXT, "the run that ingested it"),
            required("ingested_on", DATE, "the UTC day of ingestion, as in the path"),
        ]
    ),
)

CHUNKS = Table(
    "chunks",
    "One row per chunk of a parsed document: along its headings, paragraphs and tables, by tokens, with overlap.",
    ("doc_id", "chunk_no"),
    "ingested_on",
    pa.schema(
        [
            required("chunk_id", TEXT, "sha256 of doc_id, place and text: the same for the same document, whenever it is cut"),
            required("doc_id", TEXT, "sha256 of the document's bytes"),
            required("chunk_no", pa.int32(), "from 1, in reading order"),
            required("page_no", pa.int32(), "the page on which it begins"),
            required("start_offset", pa.int32(), "where it begins in that page's text, in characters"),
            required("last_page_no", pa.int32(), "the page on which it ends"),
            required("end_offset", pa.int32(), "where it ends in that page's text, in characters"),
            required("text", TEXT, "what stands between; texts of two pages are joined by an empty line"),
            required("n_tokens", pa.int32(), "estimated tokens"),
            field("heading", TEXT, "the headings it stands under, outermost first, joined by ' > '"),
            field("language", TEXT, "ISO 639-1 of the page on which it begins"),
            required("run_id", TEXT, "the run that ingested it"),
            required("ingested_on", DATE, "the UTC day of ingestion, as in the path"),
        ]
    ),
)

REJECTS = Table(
    "rejects",
    "One row per item that ended without a result, in ingestion or in a skill.",
    ("run_id", "stage", "item_id"),
    "rejected_on",
    pa.schema(
        [
            required("run_id", TEXT, "the run that gave up on it"),
            required("stage", TEXT, "parse, or answer"),
            required("item_id", TEXT, "the item; the doc_id for a document"),
            required("doc_id", TEXT, "the document it belongs to"),
            field("uri", TEXT, "where the document was found"),
            field("skill", TEXT, "the skill, null in ingestion"),
            field("fingerprint", TEXT, "the skill's fingerprint, null in ingestion"),
            field("tier", TEXT, "the last tier that was tried"),
            required("error_kind", TEXT, "a fixed word a person can act on"),
            required("error_message", TEXT, "what was found and what to do"),
            required("n_attempts", pa.int32(), "requests sent to providers for it in this run"),
            required("cost_usd", MONEY, "what they cost"),
            required("rejected_at", TIMESTAMP, "when"),
            required("rejected_on", DATE, "the UTC day of rejected_at, as in the path"),
        ]
    ),
)

LLM_CALLS = Table(
    "llm_calls",
    "The ledger: one row per attempt, failed and unknown ones and cache hits included. A bill closes unknown rows and adds corrections.",
    ("call_id",),
    "usage_date",
    pa.schema(
        [
            required("call_id", TEXT, "one request sent to a provider, or one answer taken from the response store"),
            required("operation_id", TEXT, "the logical request this attempt belongs to"),
            required("run_id", TEXT, "the run"),
            required("dag_id", TEXT, "the DAG, or cli"),
            required("skill", TEXT, "the skill"),
            required("fingerprint", TEXT, "the skill's fingerprint"),
            required("team", TEXT, "who pays"),
            required("item_id", TEXT, "the item"),
            required("doc_id", TEXT, "the document"),
            required("attempt_no", pa.int32(), "from 1 within the operation"),
            required("sample_no", pa.int32(), "0 for the first answer asked, one more after each failed check"),
            required("tier", TEXT, "fast, standard or expert"),
            required("model", TEXT, "the resolved model"),
            required("deployment", TEXT, "the deployment of the profile that was asked"),
            required("lane", TEXT, "live or batch: the provider's batch API at its discount"),
            required("service_tier", TEXT, "the provider's price list it was charged by: standard, batch, flex, priority"),
            required("purpose", TEXT, PURPOSE),
            required("request_hash", TEXT, "sha256 of model, messages, output schema, parameters and sample_no"),
            required("max_tokens", pa.int32(), "the output limit that was sent with the request"),
            required(
                "status",
                TEXT,
                "settled, failed (refused by the provider, cost 0), unknown (sent, outcome not known), cached, or correction (no attempt: "
                "what a provider's bill asked for more or less than a day's rows, team and skill *)",
            ),
            field("error_kind", TEXT, "why it failed or is unknown"),
            field("finish_reason", TEXT, "as the provider says"),
            required("input_tokens", INT, "uncached input tokens"),
            required("cache_read_tokens", INT, "input tokens the provider read from its cache"),
            required("cache_write_tokens", INT, "input tokens the provider wrote to its cache for minutes"),
            required("cache_write_1h_tokens", INT, "input tokens the provider wrote to its cache for an hour"),
            required("output_tokens", INT, "output tokens, reasoning included"),
            required("reasoning_tokens", INT, "memo: the part of output_tokens spent on reasoning"),
            required("n_images", INT, "images that are charged one by one"),
            required("compute_s", SECONDS, "seconds of own compute, where the model is priced by them"),
            required("idle_s", SECONDS, "memo: the part of compute_s that stands for the endpoint's idle time"),
            required("reserved_usd", MONEY, "upper bound reserved before the request left"),
            field("cost_usd", MONEY, "what it cost; null while unknown"),
            required("saved_usd", MONEY, "what a cache hit would have cost"),
            required("price_ids", TEXT, "the price book rows that were applied, comma-separated; bill: as the provider's bill says"),
            field("provider_request_id", TEXT, "the provider's own id of the request"),
            required("sent_at", TIMESTAMP, "when the request left"),
            field("settled_at", TIMESTAMP, "when its outcome was committed"),
            field("latency_ms", pa.int32(), "from the first byte sent to the answer"),
            required("usage_date", DATE, "the UTC day of sent_at, as in the path"),
        ]
    ),
    version=2,
)

AUDITS = Table(
    "audits",
    "One row per audited item and tier: what that tier answered beside the expert's answer. An item is audited on every tier at once.",
    ("audit_id", "item_id", "tier"),
    "audited_on",
    pa.schema(
        [
            required("audit_id", TEXT, "the audit of one skill in one night, or on demand"),
            required("skill", TEXT, "the skill"),
            required("fingerprint", TEXT, "the skill's fingerprint that was audited"),
            required("item_id", TEXT, "the item"),
            required("doc_id", TEXT, "the document it belongs to"),
            required("result_run_id", TEXT, "the run that made the audited result"),
            required("tier", TEXT, "the tier whose answer this row compares; the highest one is what the others are compared with"),
            required("model", TEXT, "the resolved model that answered; empty when the tier did not answer"),
            required("is_served", pa.bool_(), "the audited result came from this tier"),
            required("route_score", SHARE, "the router's score of the result"),
            required("router_version", TEXT, "the router that chose the result's first tier"),
            required("stratum", TEXT, "the stratum it was drawn from"),
            required("weight", SHARE, "the inverse of its chance to be drawn, by the mean of those drawn with it: 1 when all were alike"),
            required("has_passed", pa.bool_(), "the tier's answer passed the schema and the named checks"),
            field("error_kind", TEXT, "why it did not"),
            required("agreement", SHARE, "0..1 with the expert's answer; 0 when it did not pass"),
            required("field_agreement", TEXT, "the same by field, a JSON object"),
            field("answer", TEXT, "the tier's answer, JSON"),
            field("expert_answer", TEXT, "the expert's answer, JSON"),
            required("cost_usd", MONEY, "what an answer of this tier costs, whoever paid for it"),
            required("audit_cost_usd", MONEY, "what the audit paid on this tier for it, a judge included; 0 for what was there already"),
            field("latency_ms", pa.int32(), "of the answer, where it was asked live"),
            required("audited_at", TIMESTAMP, "when"),
            required("audited_on", DATE, "the UTC day of audited_at, as in the path"),
        ]
    ),
)

EVALS = Table(
    "evals",
    "One row per case of a skill's own evals and tier it was asked on.",
    ("eval_id", "skill", "case_id", "tier"),
    "evaluated_on",
    pa.schema(
        [
            required("eval_id", TEXT, "one evaluation of a skill"),
            required("skill", TEXT, "the skill"),
            required("fingerprint", TEXT, "the skill's fingerprint that was evaluated"),
            required("case_id", TEXT, "the case in evals/cases.yaml"),
            required("text", TEXT, "the case's text; of a skill over files, the file's name"),
            required("tier", TEXT, "the tier that was asked; none when the skill's own code answered"),
            required("model", TEXT, "the resolved model; empty when nothing was answered"),
            required("has_passed", pa.bool_(), "the answer passed the schema and the named checks"),
            required("is_right", pa.bool_(), "and every assertion of the case holds"),
            field("message", TEXT, "what was wrong"),
            required("cost_usd", MONEY, "what it cost"),
            field("latency_ms", pa.int32(), "of the answer"),
            required("evaluated_at", TIMESTAMP, "when"),
            required("evaluated_on", DATE, "the UTC day of evaluated_at, as in the path"),
        ]
    ),
)

QUALITY_DAILY = Table(
    "quality_daily",
    "Retained quality of a skill as its audits show it on a day, with its interval: served quality / the expert tier's quality.",
    ("usage_date", "skill"),
    "usage_date",
    pa.schema(
        [
            required("usage_date", DATE, "UTC day, as in the path"),
            required("skill", TEXT, "the skill"),
            required("router_version", TEXT, "the router in use at the end of the day, or heuristic"),
            required("n_audited", INT, "audited items that the figures rest on: of this day and as far back as they agree"),
            required("n_audited_today", INT, "of these, audited on this day"),
            required("retained", SHARE, "estimate, 0..1"),
            required("retained_lower", SHARE, "lower end of its 95 % interval"),
            required("retained_upper", SHARE, "upper end of its 95 % interval"),
            required("target", SHARE, "what the skill asks for"),
            required("audit_cost_usd", MONEY, "what the audits of the day cost"),
        ]
    ),
    is_recomputed=True,
)

RED_FLAGS = Table(
    "red_flags",
    "What is wrong with routing on a day, with the numbers behind it.",
    ("usage_date", "flag", "skill"),
    "usage_date",
    pa.schema(
        [
            required("usage_date", DATE, "UTC day, as in the path"),
            required("flag", TEXT, "a fixed word, see docs/operations.md"),
            required("skill", TEXT, "the skill; * for all of them together"),
            required("message", TEXT, "what was found, in a sentence with its numbers, and what to do"),
            required("value", SHARE, "the number that was looked at"),
            required("bound", SHARE, "the bound that it crossed"),
            required("numbers", TEXT, "everything it was computed from, a JSON object"),
        ]
    ),
    is_recomputed=True,
)

QUALITY_CHECKS = Table(
    "quality_checks",
    "One row per check of rows about to be published: of their values, or of a run beside the runs before it.",
    ("check_id",),
    "checked_on",
    pa.schema(
        [
            required("check_id", TEXT, "the validation and the check's number in it"),
            required("table", TEXT, "the table whose rows were checked"),
            field("run_id", TEXT, "the run that made the rows, where one did"),
            required("check", TEXT, "the expectation's or run-over-run check's name"),
            required("columns", TEXT, "the columns it looks at, comma-separated"),
            required("rule", TEXT, "the rule in a sentence"),
            required("severity", TEXT, "block: the rows are not published when it fails; warn: they are"),
            required("has_passed", pa.bool_(), "whether it held"),
            required("n_rows", INT, "rows that were checked"),
            required("n_unexpected", INT, "rows that broke it"),
            field("value", SHARE, "the number that was looked at, where it is one: a run's share, a column's mean"),
            field("bound", SHARE, "run-over-run checks: the bound that it may not cross"),
            field("message", TEXT, "what was found, with keys of some rows"),
            required("checked_at", TIMESTAMP, "when"),
            required("checked_on", DATE, "the UTC day of checked_at, as in the path"),
        ]
    ),
)

RESULT_HEAD = (
    required("item_id", TEXT, "the item; one row per item, its newest result"),
    required("doc_id", TEXT, "the document it belongs to"),
    field("page_no", pa.int32(), "the page, for skills that work page by page; of a chunk, the page on which it begins"),
    field("chunk_no", pa.int32(), "the chunk, for skills that work chunk by chunk"),
    required("uri", TEXT, "where the document was found"),
)
RESULT_TAIL = (
    required("fingerprint", TEXT, "the skill's fingerprint that made this result"),
    required("is_stale", pa.bool_(), "made by an older fingerprint than the skill has now"),
    required("tier", TEXT, "none, fast, standard or expert: where the accepted answer came from"),
    required("model", TEXT, "the resolved model, or the library"),
    required("route_reason", TEXT, "why the item started on its tier"),
    required("route_score", SHARE, "0 easy … 1 hard, as the router saw it"),
    required("router_version", TEXT, "the router that decided, or heuristic"),
    required("n_attempts", pa.int32(), "requests sent to providers for it in this run"),
    required("n_escalations", pa.int32(), "how often it moved to a higher tier"),
    required("cost_usd", MONEY, "what they cost"),
    required("run_id", TEXT, "the run that made it"),
    required("produced_at", TIMESTAMP, "when"),
    required("produced_on", DATE, "the UTC day of produced_at, as in the path"),
)
RESULTS_VERSION = 1
"""Of the columns that every results table has."""
RESERVED = frozenset(f.name for f in (*RESULT_HEAD, *RESULT_TAIL))
"""Column names a skill's output schema may not use."""
