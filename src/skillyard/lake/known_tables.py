"""Every table but the results of skills, by name."""

from skillyard.lake.cost_tables import COST_TABLES
from skillyard.lake.focus_table import FOCUS
from skillyard.lake.tables import (
    AUDITS,
    CHUNKS,
    DOCUMENTS,
    EVALS,
    LLM_CALLS,
    PAGES,
    QUALITY_CHECKS,
    QUALITY_DAILY,
    RED_FLAGS,
    REJECTS,
    Table,
)

_INGESTION = (DOCUMENTS, PAGES, CHUNKS, REJECTS)
_QUALITY = (AUDITS, EVALS, QUALITY_DAILY, RED_FLAGS, QUALITY_CHECKS)
TABLES: dict[str, Table] = {table.name: table for table in (*_INGESTION, LLM_CALLS, *COST_TABLES, FOCUS, *_QUALITY)}
