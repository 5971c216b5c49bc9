"""Library and mixed skills: load ``handler.py`` from the skill's folder, once per process."""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from skillyard.skills.errors import SkillError
from skillyard.skills.source import Source

Handle = Callable[[Source, Mapping[str, Any]], dict[str, Any] | None]


@cache
def load_handler(folder: Path) -> Handle:
    """Return the function ``handle(source, parameters) -> dict``; SkillError when the folder has none.

    That of a mixed skill may return None: a model is to be asked.
    """
    file = folder / "handler.py"
    if not file.is_file():
        raise SkillError(str(file), "", "what is no llm skill needs this file with a function handle(source, parameters)")
    name = f"skillyard_skill_{folder.name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    if not callable(getattr(module, "handle", None)):
        raise SkillError(str(file), "handle", "the function is missing", ("handle(source, parameters) -> dict",))
    handle: Handle = module.handle
    return handle
