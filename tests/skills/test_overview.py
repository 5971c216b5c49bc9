from pathlib import Path

from skillyard.skills.overview import PATH, render

ROOT = Path(__file__).parents[2]


def test_the_overview_of_all_skills_is_current() -> None:
    assert (ROOT / PATH).read_text(encoding="utf-8") == render(ROOT / "include"), "run: python -m skillyard.skills.overview"


def test_every_skill_is_linked_once_and_every_link_leads_somewhere() -> None:
    text = render(ROOT / "include")
    links = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert sorted(Path(link).parent.name for link in links) == sorted(f.name for f in (ROOT / "include" / "skills").iterdir() if f.is_dir())
    assert all((ROOT / "docs" / link).exists() for link in links)


def test_a_line_says_kind_tiers_owner_and_what_it_takes(include: Path) -> None:
    spec = include / "skills" / "name-mood" / "skill.yaml"
    taken = "takes:\n  said: {skill: redact-personal-data, column: text, description: The text.}\n"
    spec.write_text(spec.read_text().replace("min_chars: 20", "min_chars: 20, kinds: [eml, txt]") + taken)
    assert render(include).splitlines()[-1] == (
        "| [name-mood](../include/skills/name-mood/SKILL.md) | Names the mood of a text. | llm | fast-standard | records | "
        "documents of kind eml, txt; redact-personal-data (takes text) |"
    )
