"""The embedded model as litellm sees it: a real answer in the schema, priced by seconds, never open-ended."""

import asyncio

from skillyard.gateway.embedded import MAX_LIST_ITEMS, bound_lengths
from skillyard.gateway.transport import send
from skillyard.profiles import load_profile
from skillyard.settings import Settings
from skillyard.skills import Catalogue, Source, parse_output
from tests.conftest import ROOT


def test_an_answer_has_the_schema_and_counts_its_seconds(settings: Settings) -> None:
    (deployment,) = load_profile("embedded", ROOT / "include").deployments("fast")
    skill = Catalogue(settings.include).load("classify-urgency")
    messages = skill.messages(Source("The pump is leaking and the cellar is flooding. Please come at once!"))
    reply = asyncio.run(send(deployment, messages, skill.request_schema, skill.name, skill.limits.output_tokens, 60, "call"))
    assert parse_output(skill, reply.content, reply.finish_reason)["level"] in (skill.labels or {})
    assert reply.usage.compute_s > 0 and reply.usage.input_tokens > 100 and reply.usage.output_tokens > 5


def test_a_free_text_closes_before_the_token_limit(settings: Settings) -> None:
    (deployment,) = load_profile("embedded", ROOT / "include").deployments("fast")
    skill = Catalogue(settings.include).load("summarise-document")
    messages = skill.messages(Source("Minutes of the meeting. " * 20))
    reply = asyncio.run(send(deployment, messages, skill.request_schema, skill.name, 60, 60, "call"))
    assert reply.finish_reason == "stop"
    parse_output(skill, reply.content, reply.finish_reason)


def test_bounds_leave_enums_formats_and_other_providers_schema_alone() -> None:
    line = {"type": "object", "properties": {"text": {"type": "string"}, "net": {"type": "number"}}}
    schema = {
        "type": "object",
        "properties": {
            "label": {"type": "string", "enum": ["a"]},
            "on": {"type": ["string", "null"], "format": "date"},
            "lines": {"type": "array", "items": line},
        },
    }
    bounded = bound_lengths(schema, 400)["properties"]
    assert (bounded["label"], bounded["on"]) == (schema["properties"]["label"], schema["properties"]["on"])
    assert bounded["lines"]["maxItems"] == MAX_LIST_ITEMS
    assert bounded["lines"]["items"]["properties"]["text"]["maxLength"] == 2 * 400 // (1 + 2 * MAX_LIST_ITEMS)
    assert "maxLength" not in line["properties"]["text"]
