"""Items: a skill's unit of work is a document, a page or a chunk."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from skillyard.documents import Parsed, parse_document
from skillyard.lake.lake import Lake
from skillyard.lake.publish import append
from skillyard.lake.tables import CHUNKS
from skillyard.running.items import find_items, items_of
from skillyard.running.runs import Workspace
from skillyard.settings import Settings
from tests.running.lake_of import publish_texts

TEXT = "\n\n".join(f"Section {n}. " + "The parcel left on Monday and nobody has seen it since then. " * 30 for n in range(3))


@pytest.fixture
def published(settings: Settings) -> Parsed:
    """A document of several chunks, on the lake."""
    parsed = parse_document(TEXT.encode(), "note.txt")
    assert isinstance(parsed, Parsed)
    publish_texts(settings, {"note.txt": TEXT, "short.txt": "Where is my parcel? It has not come."})
    today = datetime.now(UTC).date()
    rows = [{"doc_id": parsed.doc_id, "run_id": "seed", "ingested_on": today} | columns(chunk) for chunk in parsed.chunks]
    append(Lake(settings.lake), CHUNKS, pa.Table.from_pylist(rows, schema=CHUNKS.schema), "seed")
    return parsed


def columns(chunk: object) -> dict[str, object]:
    """Return a chunk's fields."""
    return {name: getattr(chunk, name) for name in chunk.__slots__}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("unit", "n_items"), [("document", 2), ("page", 2), ("chunk", None)])
def test_a_skill_finds_items_of_its_unit(settings: Settings, published: Parsed, unit: str, n_items: int | None) -> None:
    skill = replace(Workspace.open(settings, "classify-sentiment").skill, input_unit=unit)
    items = list(find_items(Lake(settings.lake), skill, settings.inbox))
    assert len(items) == (n_items or len(published.chunks))
    assert len({item.item_id for item in items}) == len(items)


def test_a_chunk_is_an_item_with_its_number_and_its_text(settings: Settings, published: Parsed) -> None:
    skill = replace(Workspace.open(settings, "classify-sentiment").skill, input_unit="chunk")
    items = list(find_items(Lake(settings.lake), skill, settings.inbox))
    assert len(items) >= 3
    assert [(item.item_id, item.page_no, item.chunk_no, item.text) for item in items] == [
        (f"{published.doc_id}:c{chunk.chunk_no}", chunk.page_no, chunk.chunk_no, chunk.text) for chunk in published.chunks
    ]


def test_skills_of_several_units_are_given_their_own(settings: Settings, published: Parsed) -> None:
    skill = Workspace.open(settings, "classify-sentiment").skill
    other = replace(Workspace.open(settings, "tag-document").skill, input_unit="chunk")
    found = [name for name, _ in items_of(Lake(settings.lake), [published.doc_id], [skill, other])]
    assert sorted(found) == [skill.name, *[other.name] * len(published.chunks)]
