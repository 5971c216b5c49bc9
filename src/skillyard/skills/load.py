"""Turn a skill's folder into a ``Skill``: two small files are read, the rest waits until it is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING

from skillyard.skills.checks import bind
from skillyard.skills.errors import SkillError
from skillyard.skills.skill import AppliesTo, Check, Limits, Parameter, Skill, Taken, Where
from skillyard.tiers import TIERS

if TYPE_CHECKING:
    from skillyard.skills.spec import AppliesToSpec, Frontmatter, SkillSpec


def load_skill(folder: Path) -> Skill:
    """Return the skill in a folder; SkillError names the file and the field that is wrong."""
    from skillyard.skills.spec import SkillSpec, read_yaml

    head = read_frontmatter(folder)
    if head.name != folder.name:
        raise SkillError(str(folder / "SKILL.md"), "name", f"found {head.name!r}, but the folder is {folder.name!r}", (folder.name,))
    spec = read_yaml(SkillSpec, folder / "skill.yaml")
    file = str(folder / "skill.yaml")
    if TIERS.index(spec.tier.default) > TIERS.index(spec.tier.max):
        allowed = TIERS[TIERS.index(spec.tier.default) :]
        raise SkillError(file, "tier.max", f"found {spec.tier.max!r}, which is below the default {spec.tier.default!r}", allowed)
    is_shown = spec.input_unit == "file" and spec.kind != "library"
    if is_shown != (spec.pictures is not None):
        rule = "a model that is asked about files is shown so many of their pages; no other skill has this"
        raise SkillError(file, "pictures", f"found {spec.pictures}: {rule}")
    if spec.input_unit == "file" and spec.takes:
        raise SkillError(file, "takes", "a skill over files takes nothing from other skills' results: its item is the file")
    if spec.routing.classifier and (spec.kind == "library" or spec.tier.default == spec.tier.max):
        raise SkillError(file, "routing.classifier", f"found {spec.routing.classifier!r}, but an item of this skill has no tier to choose")
    return _build(folder, head, spec, _checks(spec, file))


def read_frontmatter(folder: Path) -> "Frontmatter":
    """Return the head of SKILL.md."""
    from skillyard.skills.spec import Frontmatter, parse_yaml

    return parse_yaml(Frontmatter, "\n" + _split(folder)[0], folder / "SKILL.md")


def read_body(folder: Path) -> str:
    """Return what follows the head of SKILL.md, without the blank lines around it."""
    return _split(folder)[1]


def _split(folder: Path) -> tuple[str, str]:
    """Return head and body of SKILL.md."""
    file = folder / "SKILL.md"
    try:
        source = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SkillError(str(file), "", "the file is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SkillError(str(file), "", f"the file cannot be read as UTF-8 text ({error})") from None
    fence, _, rest = source.partition("\n")
    head, closing, body = rest.partition("\n---\n")
    if fence.rstrip() != "---" or not closing:
        raise SkillError(str(file), "", "no frontmatter between two lines '---' at the top")
    return head, body.strip()


def _checks(spec: "SkillSpec", file: str) -> tuple[Check, ...]:
    """Return the declared checks, each known and with the arguments it takes."""
    checks = tuple(Check(c.name, dict(c.model_extra or {})) for c in spec.checks)
    for number, check in enumerate(checks):
        bind(check, file, f"checks.{number}")
    return checks


def _applies_to(spec: "AppliesToSpec") -> AppliesTo:
    """Return the conditions as plain tuples."""
    where = tuple(Where(w.skill, w.column, w.equals) for w in spec.where)
    return AppliesTo(tuple(spec.kinds), tuple(spec.globs), tuple(spec.languages), spec.min_chars, spec.max_chars, where)


def _build(folder: Path, head: "Frontmatter", spec: "SkillSpec", checks: tuple[Check, ...]) -> Skill:
    """Put the two files together."""
    return Skill(
        name=head.name,
        description=head.description,
        version=head.metadata.version,
        bucket=head.metadata.bucket,
        kind=spec.kind,
        input_unit=spec.input_unit,
        tier_default=spec.tier.default,
        tier_max=spec.tier.max,
        escalate_when=tuple(spec.escalate_when),
        applies_to=_applies_to(spec.applies_to),
        max_pictures=spec.pictures,
        takes={n: Taken(t.skill, t.column, t.description) for n, t in spec.takes.items()},
        limits=Limits(spec.limits.input_tokens, spec.limits.output_tokens, spec.limits.timeout_s),
        output_major=spec.output.major,
        declared_schema=spec.output.schema_,
        checks=checks,
        min_pass_rate=spec.quality.min_pass_rate,
        retained_target=spec.quality.retained,
        classifier=spec.routing.classifier,
        owner=spec.owner,
        schedule=spec.schedule,
        parameters={n: Parameter(n, p.title, p.description, p.default, tuple(p.allowed)) for n, p in spec.parameters.items()},
        share=spec.share,
        cache_ttl_s=spec.cache_ttl_s,
        cosmetic=spec.cosmetic,
        folder=folder,
    )
