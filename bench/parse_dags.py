"""Seconds to parse all DAG files with the catalogue multiplied to 300 skills, and what that imports.

The DAG processor does this every half minute and a scheduler cannot start a new skill before it has, so it has to stay cheap.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.figures import Figure, parser, report

N_SKILLS = 300
GOAL_S = 3.0
HEAVY = ("litellm", "great_expectations", "pandas", "pyarrow.dataset", "sklearn")
CHILD = f"""
import json, sys, time
sys.path.insert(0, {str(ROOT / "plugins")!r})
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
def measure():
    began = time.perf_counter()
    bag = DagBag({str(ROOT / "dags")!r})
    return bag, time.perf_counter() - began
bag, first_s = measure()
_, again_s = measure()
began = time.perf_counter()
for dag in bag.dags.values():
    DagSerialization.to_dict(dag)
heavy = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([len(bag.dags), len(bag.import_errors), first_s, again_s, time.perf_counter() - began, heavy]))
"""


def main() -> int:
    """Measure in a process of its own; 1 when parsing takes too long or loads something heavy."""
    options = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        include = multiply(ROOT / "include", Path(folder) / "include", N_SKILLS)
        n_dags, n_errors, first_s, again_s, serialise_s, heavy = parse(include, Path(folder) / "airflow")
    figures = [
        Figure("parse, first time in a process", first_s, "s", f"< {GOAL_S:.0f}", first_s < GOAL_S),
        Figure("parse, again", again_s, "s", f"< {GOAL_S:.0f}", again_s < GOAL_S),
        Figure("serialise", serialise_s, "s"),
        Figure("per skill", 1000 * again_s / N_SKILLS, "ms"),
        Figure("DAGs", n_dags, "DAGs", f"= {N_SKILLS + 2}", n_dags == N_SKILLS + 2),
        Figure("files that cannot be loaded", n_errors, "files", "= 0", n_errors == 0),
        Figure("heavy packages imported", len(heavy), "packages", "= 0", not heavy),
    ]
    return report(figures, f"{N_SKILLS} skills, copies of the catalogue's own" + (f"; imported: {heavy}" if heavy else ""), options.json)


def multiply(include: Path, target: Path, n_skills: int) -> Path:
    """Copy an include folder with its skills repeated under other names until there are ``n_skills``."""
    shutil.copytree(include, target, ignore=shutil.ignore_patterns("skills"))
    originals = sorted(p for p in (include / "skills").iterdir() if (p / "skill.yaml").is_file())
    for number in range(n_skills):
        source = originals[number % len(originals)]
        name = f"{source.name}-{number:03d}"
        copy = shutil.copytree(source, target / "skills" / name)
        text = (copy / "SKILL.md").read_text(encoding="utf-8")
        (copy / "SKILL.md").write_text(text.replace(f"name: {source.name}\n", f"name: {name}\n", 1), encoding="utf-8")
    every_second = {f"{originals[n % len(originals)].name}-{n:03d}": {} for n in range(0, n_skills, 2)}
    (target / "enabled.yaml").write_text(yaml.safe_dump({"skills": every_second}))
    return target


def parse(include: Path, airflow_home: Path) -> tuple[int, int, float, float, float, list[str]]:
    """Parse the project's DAG files against an include folder, in a new process."""
    env = os.environ | {
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "SKILLYARD_HOME": str(ROOT),
        "SKILLYARD_INCLUDE": str(include),
        "SKILLYARD_ENABLED": str(include / "enabled.yaml"),
    }
    done = subprocess.run([sys.executable, "-c", CHILD], env=env, check=True, capture_output=True, text=True)
    measured: tuple[int, int, float, float, float, list[str]] = tuple(json.loads(done.stdout.splitlines()[-1]))
    return measured


if __name__ == "__main__":
    raise SystemExit(main())
