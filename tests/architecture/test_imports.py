"""Who may import what: the contracts in ``pyproject.toml``, what they cannot express, and what an import may cost."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "src" / "skillyard"
SOURCES = sorted(p for folder in ("src", "plugins", "dags", "include") for p in (ROOT / folder).rglob("*.py"))

HEAVY = (
    "airflow",
    "great_expectations",
    "kreuzberg",
    "litellm",
    "markitdown",
    "pandas",
    "presidio_analyzer",
    "sklearn",
    "spacy",
    "trafilatura",
)
PARQUET_WRITERS = {"ParquetWriter", "to_parquet", "write_dataset", "write_parquet", "write_table"}


def imported(path: Path) -> Iterator[str]:
    """Yield the full name of everything a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(package: str) -> set[str]:
    """Return the folders, named by their path in the project, of the files that import a package."""
    users = (p for p in SOURCES if any(name == package or name.startswith(f"{package}.") for name in imported(p)))
    return {p.parent.relative_to(ROOT).as_posix() for p in users}


def test_the_import_contracts_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("package", "folder"),
    [
        ("litellm", "src/skillyard/gateway"),
        ("boto3", "src/skillyard/storage"),
        ("botocore", "src/skillyard/storage"),
        ("pyarrow.parquet", "src/skillyard/lake"),
        ("great_expectations", "src/skillyard/lake"),
    ],
)
def test_one_package_alone_imports(package: str, folder: str) -> None:
    assert importers(package) == {folder}


def test_only_the_lake_writes_parquet() -> None:
    outside = [p for p in SOURCES if p.parent != ENGINE / "lake"]
    calls = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.attr}"
        for path in outside
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in PARQUET_WRITERS
    ]
    assert calls == []


def test_airflow_stays_at_the_edge() -> None:
    assert {folder.split("/")[0] for folder in importers("airflow")} == {"dags", "plugins"}


def test_nothing_imports_a_dag_file() -> None:
    assert importers("dags") == set()


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("skillyard.settings", (*HEAVY, "pyarrow", "boto3", "sqlalchemy", "pydantic")),
        ("skillyard.skills", (*HEAVY, "pyarrow", "boto3", "sqlalchemy")),
        ("skillyard.routing", (*HEAVY, "boto3")),
        ("skillyard.documents", HEAVY),
        ("skillyard.gateway", HEAVY),
        ("skillyard.lake.lake", (*HEAVY, "boto3")),
        ("skillyard.cli", (*HEAVY, "pyarrow", "boto3")),
    ],
)
def test_importing_loads_nothing_heavy(module: str, forbidden: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}} & set({forbidden!r})))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, ""), f"import {module} loads {run.stdout}{run.stderr[-1500:]}"
