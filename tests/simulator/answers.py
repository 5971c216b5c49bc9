"""Answers as a set function of model and prompt: a value of the asked schema, its strings and numbers out of the document.

A right answer depends on the prompt alone, so that models which are right agree; a wrong one depends on the model too. Right answers are
careful ones, so that checks can pass: a number that may be null is null, a signed score is 0, and what may be null is null beside a false.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

_NUMBER = re.compile(r"(?<![\w.,])\d+(?:\.\d+)?(?![\w.,]*\d)")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
_CURRENCY = re.compile(r"\b(?:EUR|USD|GBP|CHF|JPY|PLN|SEK|DKK|NOK|CZK|BRL|INR)\b")
_DELIMITED = re.compile(r"<([\w-]*document[\w-]*)([^>]*)>\n?(.*?)\n?</\1\2>", re.DOTALL)
_WORD = re.compile(r"\S+")
_QUOTE_CHARS = 40
_WRONG_WORDS = ("zyxoq", "vunthal", "brelkip", "quorrim", "ostwenk", "fladrup", "mixnord", "hespyl")


def n_tokens(text: str) -> int:
    """Return the number of tokens: one for every four characters begun."""
    return -(-len(text) // 4)


def plain_text(content: Any) -> str:
    """Return the text of a message's content, given as a string or as parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or () if isinstance(part, dict))


def shown(content: Any) -> str:
    """Return the text of a message's content, and its pictures as they are given."""
    parts = content if isinstance(content, list) else ()
    return "\n".join([plain_text(content), *(part["image_url"]["url"] for part in parts if part.get("type") == "image_url")])


def prompt_hash(messages: Sequence[Mapping[str, Any]], schema: object) -> bytes:
    """Return a hash of everything an answer may depend on except the model; sampling parameters are ignored."""
    return blake2b(json.dumps([messages, schema], sort_keys=True).encode(), digest_size=32).digest()


def share(*parts: bytes | str) -> float:
    """Return a number in [0, 1) that is set by the parts."""
    joined = b"\x00".join(p.encode() if isinstance(p, str) else p for p in parts)
    return int.from_bytes(blake2b(joined, digest_size=7).digest()) / 2**56


def document_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the document: what stands between <…document…> tags in the last message, else the whole of it."""
    text = plain_text(messages[-1].get("content"))
    found = _DELIMITED.findall(text)
    return found[-1][2] if found else text


def answer(text: str, schema: Mapping[str, Any] | None, key: bytes, is_wrong: bool) -> str:
    """Return the answer's content: JSON of the schema, or a quote of the document when no schema was asked."""
    walk = _Walk(text, key, is_wrong, schema or {})
    return walk.quote() if schema is None else json.dumps(walk.value(schema), ensure_ascii=False)


def broken(value: str) -> str:
    """Return the JSON object with its first key gone and one it may not have."""
    parsed = json.loads(value)
    if not isinstance(parsed, dict):
        return json.dumps({"unexpected": value})
    rest = dict(list(parsed.items())[1:])
    return json.dumps({**rest, "unexpected": "not in the schema"}, ensure_ascii=False)


@dataclass(slots=True)
class _Walk:
    """One way through a schema; each choice takes the next number of the key's stream."""

    text: str
    key: bytes
    is_wrong: bool
    root: Mapping[str, Any]
    n_drawn: int = 0

    def draw(self, n: int) -> int:
        """Return the next choice, 0 … n - 1."""
        self.n_drawn += 1
        return int.from_bytes(blake2b(self.key + self.n_drawn.to_bytes(4), digest_size=8).digest()) % max(n, 1)

    def value(self, schema: Mapping[str, Any]) -> Any:
        """Return a value of the schema."""
        if "$ref" in schema:
            return self.value(self._resolve(schema["$ref"]))
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][self.draw(len(schema["enum"]))]
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            return self.value(options[self.draw(len(options))])
        return self._typed(schema)

    def _resolve(self, ref: str) -> Mapping[str, Any]:
        found: Any = self.root
        for part in ref.removeprefix("#/").split("/"):
            found = found[part]
        return found  # type: ignore[no-any-return]

    def _typed(self, schema: Mapping[str, Any]) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next(k for k in kind if k != "null")
        if kind == "object":
            return self._object(schema.get("properties", {}))
        if kind == "array":
            return self._array(schema)
        if kind in ("number", "integer"):
            return self._number(schema, kind == "integer")
        if kind == "boolean":
            return bool(self.draw(2))
        return None if kind == "null" else self._string(schema)

    def _object(self, properties: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, schema in properties.items():
            is_number = {"number", "integer"} & set(_types(schema))
            is_null = "null" in _types(schema) and not self.is_wrong and (is_number or False in made.values())
            made[name] = None if is_null else self._named(name, schema)
        return made

    def _named(self, name: str, schema: Mapping[str, Any]) -> Any:
        """Return a property's value; what is not in the document is null where it may be."""
        is_fact = name == "currency" or schema.get("format") in ("date", "email")
        if is_fact and not self.is_wrong and "null" in _types(schema):
            pattern = _CURRENCY if name == "currency" else _DATE if schema["format"] == "date" else _EMAIL
            return self._found(pattern, None)
        return self.value(schema)

    def _array(self, schema: Mapping[str, Any]) -> list[Any]:
        low = schema.get("minItems", 1)
        wanted = low + self.draw(min(schema.get("maxItems", 3), low + 3) - low + 1)
        items: list[Any] = []
        for _ in range(wanted * 4):
            item = self.value(schema.get("items", {"type": "string"}))
            if len(items) < wanted and item not in items:
                items.append(item)
        return items

    def _number(self, schema: Mapping[str, Any], is_integer: bool) -> float | int:
        found = _NUMBER.findall(self.text)
        raw = found[self.draw(len(found))] if found and not self.is_wrong else f"{900_000 + self.draw(90_000)}.37"
        number = float(raw)
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is not None and high is not None and low < 0 < high and not self.is_wrong:
            return 0
        if (low is not None and number < low) or (high is not None and number > high):
            bottom = low if low is not None else 0
            top = high if high is not None else bottom + 1000
            number = bottom + (top - bottom) * self.draw(1001) / 1000
        return int(number) if is_integer else number

    def _string(self, schema: Mapping[str, Any]) -> str | None:
        form, pattern = schema.get("format"), schema.get("pattern")
        if form == "date":
            return self._found(_DATE, f"20{10 + self.draw(16)}-0{1 + self.draw(9)}-1{self.draw(10)}")
        if form == "email":
            return self._found(_EMAIL, f"person{self.draw(100)}@example.com")
        if pattern:
            return self._found(re.compile(rf"\b(?:{pattern.removeprefix('^').removesuffix('$')})\b"), "")
        return self.quote()[: schema.get("maxLength", _QUOTE_CHARS)]

    def _found(self, pattern: re.Pattern[str], otherwise: str | None) -> str | None:
        found = [m.group() for m in pattern.finditer(self.text)]
        return found[self.draw(len(found))] if found and not self.is_wrong else otherwise

    def quote(self) -> str:
        """Return a few words as they stand on one line of the document, or words that do not occur in it."""
        if self.is_wrong or not self.text.strip():
            return " ".join(_WRONG_WORDS[self.draw(len(_WRONG_WORDS))] for _ in range(3))
        lines = [line for line in self.text.splitlines() if line.strip()]
        words = list(_WORD.finditer(lines[self.draw(len(lines))]))
        first = words[self.draw(len(words))]
        last = [word for word in words if word.start() >= first.start() and word.end() <= first.start() + _QUOTE_CHARS] or [first]
        return first.string[first.start() : last[-1].end()]


def _types(schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type", [])
    return kind if isinstance(kind, list) else [kind]
