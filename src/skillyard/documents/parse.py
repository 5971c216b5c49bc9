"""One document from bytes to pages, in this process and without a deadline: the pool's workers call it."""

from skillyard.documents.chunks import cut_chunks
from skillyard.documents.decoding import clean
from skillyard.documents.encryption import decrypt_office
from skillyard.documents.kinds import READERS, Content
from skillyard.documents.kinds.content import PageContent, ReadOptions
from skillyard.documents.language import detect_language, main_language
from skillyard.documents.minhash import minhash_of
from skillyard.documents.result import MAX_DOCUMENT_BYTES, Parsed, ParsedPage, Refused, Rejected, doc_id_of, reject
from skillyard.documents.sniff import FileType, mime_of_unsupported, sniff
from skillyard.documents.titles import first_line, stated_title

MAX_METADATA_CHARS = 1_000
NO_OPTIONS = ReadOptions()


def parse_document(data: bytes, name: str, options: ReadOptions = NO_OPTIONS) -> Parsed | Rejected:
    """Return the document's pages, or why it has none. Nothing that its bytes hold makes this raise."""
    doc_id = doc_id_of(data)
    found = identify(data, name, doc_id, options)
    return found if isinstance(found, Rejected) else read_as(*found, doc_id, options)


def identify(data: bytes, name: str, doc_id: str, options: ReadOptions) -> tuple[FileType, bytes] | Rejected:
    """Return what the document is and its bytes, decrypted where a password fits; or the reject of one that we do not read."""
    if len(data) > MAX_DOCUMENT_BYTES:
        return reject(
            doc_id, "unknown", "application/octet-stream", "too_large", f"{len(data):,} bytes, allowed are {MAX_DOCUMENT_BYTES:,}"
        )
    try:
        plain = decrypt_office(data, options.passwords)
        return sniff(plain, name), plain
    except Exception as error:
        return _reject_of(error, doc_id, "unknown", mime_of_unsupported(data))


def read_as(found: FileType, data: bytes, doc_id: str, options: ReadOptions) -> Parsed | Rejected:
    """Read the document as the kind it is."""
    try:
        return _to_parsed(found, READERS[found.kind](data, options), doc_id, options)
    except Exception as error:
        return _reject_of(error, doc_id, found.kind, found.mime_type)


def _reject_of(error: Exception, doc_id: str, kind: str, mime_type: str) -> Rejected:
    """Return what an error means for the document; one of our installation is raised again."""
    if isinstance(error, ImportError):
        raise error
    if isinstance(error, Refused):
        return reject(doc_id, kind, mime_type, error.error_kind, error.found)
    if isinstance(error, MemoryError):
        return reject(doc_id, kind, mime_type, "out_of_memory", "an allocation failed")
    return reject(doc_id, kind, mime_type, "corrupt", f"{type(error).__name__}: {error}")


def _to_parsed(found: FileType, content: Content, doc_id: str, options: ReadOptions) -> Parsed:
    pages = tuple(_to_page(number, page) for number, page in enumerate(content.pages, start=1))
    language = main_language((page.language, page.n_chars) for page in pages)
    title = stated_title(content.title)
    if title is None and content.has_heading:
        title = first_line(next((page.text for page in pages if page.text), ""))
    metadata = tuple((name, text) for name, value in sorted(content.metadata.items()) if (text := clean(value)[:MAX_METADATA_CHARS]))
    title, minhash = clean(title) if title else None, minhash_of("\n".join(page.text for page in pages))
    members = options.spool.members if options.spool else ()
    return Parsed(doc_id, found.kind, found.mime_type, title, language, pages, metadata, cut_chunks(doc_id, pages), minhash, members)


def _to_page(page_no: int, page: PageContent) -> ParsedPage:
    text = clean(page.text)
    return ParsedPage(
        page_no,
        text,
        len(text),
        detect_language(text),
        "text" if text else page.status or "no_text",
        page.parser,
        page.rescue_level,
        page.ocr_confidence if text else None,
        page.header,
        page.footer,
        page.headings,
        page.tables,
    )
