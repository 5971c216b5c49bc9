"""The deployment files as the tests read them."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OWN_SERVICES = {name: service for name, service in SERVICES.items() if service["image"].startswith("skillyard:")}
ENV_EXAMPLE = (ROOT / ".env.example").read_text()
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<rule>:[-?][^}]*)?\}")


def example_values() -> dict[str, str]:
    """Return what ``.env.example`` sets; an empty value is a secret still to be made."""
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", ENV_EXAMPLE))


def interpolated(text: str, values: dict[str, str]) -> str:
    """Return a text with its variables put in, as compose does it."""
    filled = VARIABLE.sub(lambda m: values.get(m["name"]) or (m["rule"] or "")[2:], text)
    return filled.replace("$$", "$")
