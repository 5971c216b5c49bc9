from pathlib import Path

import pytest

from skillyard.skills import Skill, SkillError
from skillyard.skills.load import load_skill
from skillyard.skills.prompt_file import choose_case, messages_of, prompt_problems, render_prompt, write_prompt


def test_the_prompt_holds_every_message_whole(mood: Skill) -> None:
    case = choose_case(mood)
    prompt = render_prompt(mood, case)
    assert all(message["content"] in prompt for message in messages_of(mood, case))
    assert "## system\n\n```text\nName the mood.\n```\n" in prompt and "case `one`" in prompt


def test_a_fence_is_longer_than_any_in_the_message(mood: Skill) -> None:
    skill_md = mood.folder / "SKILL.md"
    skill_md.write_text(skill_md.read_text() + "\n````\ncode\n````\n")
    skill = load_skill(mood.folder)
    assert "`````text\nName the mood.\n\n````\ncode\n````\n`````\n" in render_prompt(skill, choose_case(skill))


def test_a_prompt_that_is_missing_or_out_of_date_says_what_mends_it(mood: Skill) -> None:
    (mood.folder / "evals" / "prompt.md").unlink()
    [(_, missing)] = prompt_problems(mood)
    before = mood.fingerprint()
    assert write_prompt(mood) == mood.folder / "evals" / "prompt.md"
    assert list(prompt_problems(mood)) == [] and mood.fingerprint() == before
    (mood.folder / "SKILL.md").write_text((mood.folder / "SKILL.md").read_text() + "Be brief.\n")
    [(_, outdated)] = prompt_problems(load_skill(mood.folder))
    assert all("skillyard skills prompt name-mood --write" in message for message in (missing, outdated))
    (mood.folder / "evals" / "cases.yaml").write_text("cases: 1")
    assert list(prompt_problems(load_skill(mood.folder))) == [], "the cases themselves are the problem"


def test_a_case_is_chosen_by_its_id_and_a_library_has_no_prompt(mood: Skill, include: Path) -> None:
    assert choose_case(mood, "one").id == "one"
    with pytest.raises(SkillError, match=r"found no case 'two'\. Allowed: one"):
        choose_case(mood, "two")
    spec = mood.folder / "skill.yaml"
    spec.write_text(spec.read_text().replace("kind: llm", "kind: library"))
    with pytest.raises(SkillError, match="library skill: no model is asked"):
        choose_case(load_skill(mood.folder))


def test_a_picture_is_named_and_not_shown(mood: Skill, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    monkeypatch.setattr(Skill, "messages", lambda *_: [{"role": "user", "content": parts}])
    assert render_prompt(mood, choose_case(mood)).endswith("## user\n\n```text\nLook.\n\n(a picture)\n```\n")
