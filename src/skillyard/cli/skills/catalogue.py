"""What the catalogue holds: list, show."""

from dataclasses import asdict

from skillyard.cli.options import AsJson, SkillName
from skillyard.cli.output import print_rows, print_value
from skillyard.cli.skills.group import app
from skillyard.settings import Settings


@app.command("list")
def list_skills(as_json: AsJson = False) -> None:
    """List the catalogue: kind, tiers, owner, what each skill is for."""
    from skillyard.skills import Catalogue

    catalogue = Catalogue(Settings.from_env().include)
    rows = []
    for name in catalogue.names():
        s = catalogue.load(name)
        tiers = "none" if s.kind == "library" else f"{s.tier_default}-{s.tier_max}"
        rows.append({"skill": s.name, "kind": s.kind, "tiers": tiers, "owner": s.owner, "version": s.version, "description": s.description})
    print_rows(rows, as_json, widths={"description": 90})


@app.command("show")
def show_skill(skill: SkillName, as_json: AsJson = False) -> None:
    """Show one skill: instructions, labels, output fields, checks, fingerprint."""
    from skillyard.skills import Catalogue

    s = Catalogue(Settings.from_env().include).load(skill)
    shown = {
        "skill": s.name,
        "version": s.version,
        "fingerprint": s.fingerprint(),
        "kind": s.kind,
        "tiers": s.lanes,
        "owner": s.owner,
        "applies_to": asdict(s.applies_to),
        "parameters": {name: asdict(p) for name, p in s.parameters.items()},
        "labels": {name: label.description for name, label in (s.labels or {}).items()},
        "checks": [c.name for c in s.checks],
        "output_schema": s.output_schema,
        "instructions": s.instructions,
    }
    print_value(shown, as_json)
