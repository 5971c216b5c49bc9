"""What a teams.yaml may say, and what is refused before a run could spend anything."""

from decimal import Decimal
from pathlib import Path

import pytest

from skillyard.skills import Catalogue, SkillError
from skillyard.skills.teams import Budget, Team, check_teams, load_teams

INCLUDE = Path(__file__).parents[2] / "include"


def write(folder: Path, *budgets: str, rest: str = "") -> Path:
    path = folder / "teams.yaml"
    lines = "".join(f"      - {budget}\n" for budget in budgets)
    path.write_text(f"teams:\n  records:\n    title: Records\n    contact: r@example.com\n{rest}    budgets:\n{lines or '      []'}\n")
    return path


def test_a_team_and_its_limits_are_read_exactly(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '{per: month, soft_usd: "150.000000000001", hard_usd: "200", on_soft: lower_tier}',
        '{per: run, hard_usd: "0"}',
        '{skill: tag-document, per: month, soft_usd: "40"}',
        rest='    approval_above_usd: "5"\n',
    )
    budgets = (
        Budget(None, "month", Decimal("150.000000000001"), Decimal(200), "lower_tier"),
        Budget(None, "run", None, Decimal(0), "alert"),
        Budget("tag-document", "month", Decimal(40), None, "alert"),
    )
    assert load_teams(path) == {"records": Team("records", "Records", "r@example.com", budgets, Decimal(5))}


def test_a_team_without_limits_has_none(tmp_path: Path) -> None:
    team = load_teams(write(tmp_path))["records"]
    assert team.budgets == () and team.approval_above_usd is None


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        (["{per: month}"], r"teams\.records\.budgets\.0: neither soft_usd nor hard_usd"),
        (['{per: week, hard_usd: "1"}'], r"budgets\.0\.per: found 'week'\. Allowed: run, day, month"),
        (['{hard_usd: "1"}'], r"budgets\.0\.per: this field is missing"),
        (["{per: day, hard_usd: 20}"], r'budgets\.0\.hard_usd: found 20, which has to be an amount in USD in quotes, such as "12\.50"'),
        (['{per: day, hard_usd: "-1"}'], r"hard_usd: found '-1', which has to be an amount"),
        (['{per: day, hard_usd: "1e3"}'], r"found '1e3'"),
        (['{per: day, hard_usd: "0.0000000000001"}'], r"found '0\.0000000000001'"),
        (['{per: day, hard_usd: "9000000.1"}'], r"at most 9000000"),
        (['{per: day, soft_usd: "0"}'], r"budgets\.0\.soft_usd: found 0, which has to be above 0"),
        (['{per: day, soft_usd: "2", hard_usd: "1.99"}'], r"soft_usd: found 2, which is above hard_usd 1\.99"),
        (['{per: day, hard_usd: "1", on_soft: alert}'], r"on_soft: found 'alert' without a soft_usd"),
        (['{per: day, soft_usd: "1", on_soft: stop}'], r"on_soft: found 'stop'\. Allowed: alert, lower_tier"),
        (
            ['{per: day, hard_usd: "1", limit: 3}'],
            r"limit: this field is not known here\. Allowed: hard_usd, on_soft, per, skill, soft_usd",
        ),
        (['{per: day, hard_usd: "1"}', '{per: day, soft_usd: "1"}'], r"budgets\.1: a second limit per day on the whole team"),
        (['{skill: a, per: day, hard_usd: "1"}'] * 2, r"budgets\.1: a second limit per day on a"),
    ],
)
def test_a_limit_that_cannot_hold_is_refused_where_it_stands(tmp_path: Path, budgets: list[str], message: str) -> None:
    with pytest.raises(SkillError, match=message):
        load_teams(write(tmp_path, *budgets))


def test_a_second_list_of_limits_is_refused_not_preferred(tmp_path: Path) -> None:
    path = write(tmp_path, '{per: day, hard_usd: "2"}', rest="    budgets: []\n")
    with pytest.raises(SkillError, match=r"the key 'budgets' stands here twice in .*line 6"):
        load_teams(path)


def test_a_team_may_not_take_the_name_of_the_runs_counters(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text().replace("records:", "run:"))
    with pytest.raises(SkillError, match=r"teams\.run: a team cannot be named run"):
        load_teams(path)


def test_one_skill_may_have_a_limit_beside_the_team(tmp_path: Path) -> None:
    budgets = ('{per: day, hard_usd: "2"}', '{skill: a, per: day, hard_usd: "1"}', '{skill: a, per: month, hard_usd: "1"}')
    assert len(load_teams(write(tmp_path, *budgets))["records"].budgets) == 3


def test_a_limit_on_an_unknown_skill_is_refused_with_the_near_names(tmp_path: Path) -> None:
    teams = load_teams(write(tmp_path, '{per: day, hard_usd: "2"}', '{skill: tag-documnt, per: day, hard_usd: "1"}'))
    check_teams(teams, ["tag-documnt"])
    with pytest.raises(SkillError, match=r"teams\.records\.budgets\.1\.skill: found 'tag-documnt'.* did you mean tag-document\?"):
        check_teams(teams, ["answer-question", "tag-document"])


def test_every_team_of_the_project_has_a_hard_limit_per_run_and_month() -> None:
    teams = load_teams(INCLUDE / "teams.yaml")
    check_teams(teams, Catalogue(INCLUDE).names())
    for team in teams.values():
        hard = {budget.per for budget in team.budgets if budget.skill is None and budget.hard_usd is not None}
        assert {"run", "month"} <= hard and team.approval_above_usd is not None
