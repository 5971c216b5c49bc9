"""Carry a skill's results over to the table of its new output schema, so that they need not be asked again.

What cannot be carried is listed with its reason and stays pending: the next run of the skill answers it. The old table stays as it is.
"""

from dataclasses import dataclass

import pyarrow.compute as pc

from skillyard.errors import ConfigError
from skillyard.lake.contents import table_names
from skillyard.lake.iceberg import follow
from skillyard.lake.migrate import carry
from skillyard.lake.read import read
from skillyard.lake.replace import replace_rows
from skillyard.lake.rowhash import row_hash
from skillyard.lake.validate import Validation
from skillyard.running.lease import release_lease, take_lease
from skillyard.running.runs import Workspace, cli_owner, results_of, run_lease, suite_of
from skillyard.settings import Settings
from skillyard.skills import Skill
from skillyard.skills.errors import OutputError
from skillyard.skills.output import validate_output


@dataclass(frozen=True, slots=True)
class Migration:
    """What a migration did, or would do."""

    source: str
    target: str
    n_rows: int
    """Rows of the source."""
    n_there: int
    """Items that the target held already: its own results stand."""
    n_carried: int
    n_refused: int
    dropped_columns: tuple[str, ...]
    new_columns: tuple[str, ...]
    refused: dict[str, str]
    """By item: why its row cannot be carried over; it is pending for the skill."""


def migrate(settings: Settings, skill: str, from_major: int | None = None, is_dry_run: bool = False) -> Migration:
    """Carry over the results of an earlier version that the current one lacks; repeating it carries nothing twice.

    No run of the skill may be at work meanwhile (``RunLocked``).
    """
    space = Workspace.open(settings, skill)
    lease, owner = run_lease(skill, settings.lake), cli_owner()
    take_lease(space.state, lease, owner)
    try:
        return _migrate(space, _source(space, from_major), is_dry_run)
    finally:
        release_lease(space.state, lease, owner)


def _migrate(space: Workspace, source: str, is_dry_run: bool) -> Migration:
    skill, lake, target = space.skill, space.lake, results_of(space.skill)
    rows = read(lake, source)
    there = read(lake, target, ["item_id"]).column("item_id")
    missing = rows.filter(~pc.field("item_id").isin(there.combine_chunks()))
    carried = carry(missing, target, skill.output_schema, lambda answer: _problem(skill, answer), skill.fingerprint())
    if carried.rows.num_rows and not is_dry_run:
        validation = Validation(lake)
        validation.add(target, carried.rows, suite_of(skill))
        validation.close()
        label = f"from-{source.rpartition('/')[2]}-{row_hash(target, carried.rows)[:12]}"
        replace_rows(lake, target, carried.rows, label)
        follow(space.settings, lake, label, [target.name])
    return Migration(
        source=source,
        target=target.name,
        n_rows=rows.num_rows,
        n_there=rows.num_rows - missing.num_rows,
        n_carried=carried.rows.num_rows,
        n_refused=len(carried.refused),
        dropped_columns=tuple(name for name in rows.column_names if name not in target.schema.names),
        new_columns=tuple(name for name in target.schema.names if name not in rows.column_names),
        refused=carried.refused,
    )


def _source(space: Workspace, from_major: int | None) -> str:
    """Return the table to carry from: the version asked for, or the highest below the skill's."""
    skill = space.skill
    prefix = f"results/{skill.name}/v"
    majors = {int(name.removeprefix(prefix)) for name in table_names(space.lake) if name.startswith(prefix)}
    older = sorted(major for major in majors if major < skill.output_major)
    wanted = from_major if from_major is not None else max(older, default=None)
    if wanted not in older:
        found = ", ".join(f"v{major}" for major in older) or "none"
        raise ConfigError(
            f"{skill.name} has output.major {skill.output_major} and these older tables on the lake: {found}. "
            + (f"v{from_major} is none of them." if from_major is not None else "There is nothing to carry over.")
        )
    return f"{prefix}{wanted}"


def _problem(skill: Skill, answer: dict[str, object]) -> str | None:
    try:
        validate_output(skill, answer)
    except OutputError as error:
        return error.message
    return None
