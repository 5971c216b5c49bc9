"""Documents as bytes become pages of text, or a reject that names its kind; no document can stop the caller."""

from skillyard.documents.parse import parse_document
from skillyard.documents.pool import ParsePool
from skillyard.documents.result import ERROR_KINDS, Parsed, ParsedPage, Rejected

__all__ = ["ERROR_KINDS", "ParsePool", "Parsed", "ParsedPage", "Rejected", "parse_document"]
