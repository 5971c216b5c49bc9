"""The command line as a person and a program meet it: help, JSON, exit codes, readable errors."""

import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from skillyard.cli import app
from skillyard.costs.quality import quality_daily
from skillyard.gateway.state import ANSWERS, open_state, reading
from skillyard.lake.lake import Lake
from skillyard.running.routers import promote
from skillyard.running.training import train_challenger
from skillyard.settings import Settings
from tests.commands import call
from tests.conftest import ROOT
from tests.running.audits_of import publish_audit
from tests.running.lake_of import mails, publish_texts
from tests.simulator import Simulator

COMMANDS = [
    *("ingest", "run", "route explain", "skills new", "skills list", "skills show", "skills graph"),
    *("skills prompt", "skills check", "skills diff", "skills eval"),
    *("router train", "router replay", "router show", "router promote", "router rollback"),
    *("quality audit", "quality report", "quality checks", "quality accept"),
    *("cost report", "cost calls", "cost flags", "cost plan", "cost endpoints", "cost reconcile", "cost focus", "cost attribute"),
    *("cost anomalies", "cost acknowledge", "cost forecast", "cost savings", "cost units"),
    *("prices list", "prices check", "prices add", "prices seed"),
    *("cache stats", "cache clear", "airflow up", "airflow down", "airflow setup", "airflow demo"),
    *("lake tables", "lake show", "lake migrate", "lake iceberg", "lake compact", "lake verify"),
]


@pytest.fixture
def installed(settings: Settings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The variables that a shell would have set."""
    values = {"HOME": str(ROOT), "LAKE": settings.lake, "INBOX": settings.inbox, "STATE": settings.state, "PROFILE": settings.profile}
    for name, value in values.items():
        monkeypatch.setenv(f"SKILLYARD_{name}", value)
    return settings


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = call(capsys, monkeypatch, *command.split(), "--help")
    assert code == 0 and f"skillyard {command}" in out
    assert len(out.split("Options")[0].split()) >= 8, "a sentence on what it does"


def test_no_command_is_left_out_of_these_tests() -> None:
    groups = {g.name: g.typer_instance for g in app.registered_groups}
    names = [c.name or c.callback.__name__ for c in app.registered_commands if c.callback]
    names += [f"{group} {c.name}" for group, sub in groups.items() if sub for c in sub.registered_commands]
    assert sorted(names) == sorted(COMMANDS)


def test_from_the_inbox_to_the_bill(
    installed: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in mails(5).items():
        (tmp_path / "inbox" / name).write_text(text)

    def data(*words: str) -> Any:
        code, out, err = call(capsys, monkeypatch, *words, "--json")
        assert code == 0, err
        return json.loads(out)

    assert (data("ingest")["n_new"], data("ingest")["n_new"]) == (5, 0)
    quoted = data("run", "tag-document", "--limit", "3", "--dry-run")
    assert quoted["n_planned"] == 3 and 0 < float(quoted["quote"]["expected_usd"]) < float(quoted["quote"]["high_usd"])
    assert data("run", "tag-document", "--limit", "3")["n_results"] == 3
    assert data("run", "tag-document", "--limit", "3")["n_planned"] == 0
    counts = {row["table"]: row["rows"] for row in data("lake", "tables")}
    assert (counts["documents"], counts["results/tag-document/v1"], counts["llm_calls"]) == (5, 3, 3)
    assert len(data("lake", "show", "results/tag-document", "--limit", "2", "--columns", "uri,tags")) == 2
    line, total = data("cost", "report")
    assert (line["skill"], total["skill"], line["n_calls"]) == ("tag-document", "total", 3)
    (endpoint,) = data("cost", "endpoints")
    assert (endpoint["deployment"], endpoint["n_calls"], endpoint["cost_usd"]) == ("sim-fast", 3, total["cost_usd"])


def test_a_quote_is_text_for_people_and_json_for_programs_and_writes_nothing(
    installed: Settings, tmp_path: Path, simulator: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_texts(installed, mails(70))
    code, out, _ = call(capsys, monkeypatch, "run", "tag-document", "--quote", "--probe")
    assert code == 0 and "- 50 items, about" in out and "50 items start on fast: $" in out and "left of $" in out and "at most" in out
    quote = json.loads(call(capsys, monkeypatch, "run", "tag-document", "--dry-run", "--json")[1])["quote"]
    assert (quote["n_items"], quote["n_cached"], quote["basis"], quote["approval"]) == (70, 0, "worst_case", None)
    assert not (tmp_path / "lake" / "_runs").exists() and simulator.calls() == []


def test_a_run_above_the_threshold_needs_somebody_to_say_yes(
    installed: Settings, tmp_path: Path, simulator: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_texts(installed, mails(2))
    include = shutil.copytree(installed.include, tmp_path / "include")
    teams = include / "teams.yaml"
    teams.write_text(teams.read_text().replace('approval_above_usd: "5"', 'approval_above_usd: "0.00001"'))
    monkeypatch.setenv("SKILLYARD_INCLUDE", str(include))
    code, out, err = call(capsys, monkeypatch, "run", "tag-document", "--limit", "1")
    assert (code, out) == (2, "") and "not approved, nothing was asked: it may cost more than $0.00001" in err and "--yes" in err
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert call(capsys, monkeypatch, "run", "tag-document", "--limit", "1")[0] == 2 and simulator.calls() == []
    monkeypatch.setattr("typer.confirm", lambda *_, **__: True)
    assert call(capsys, monkeypatch, "run", "tag-document", "--limit", "1")[0] == 0 and len(simulator.calls()) == 1
    assert call(capsys, monkeypatch, "run", "tag-document", "--yes")[0] == 0 and len(simulator.calls()) == 2


def test_the_budget_of_a_run_is_an_amount_above_the_reservation_of_a_call(
    installed: Settings, simulator: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_texts(installed, mails(2))
    for amount, said in (("much", "not an amount of USD"), ("0", "above 0"), ("0.0000001", "below $0.0001")):
        code, _, err = call(capsys, monkeypatch, "run", "tag-document", "--budget", amount)
        assert code == 2 and said in err and simulator.calls() == []
    assert call(capsys, monkeypatch, "run", "tag-document", "--budget", "0.01")[0] == 0


def test_a_bill_that_agrees_is_exit_0_one_that_differs_1_and_a_bad_one_2(
    installed: Settings, simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_texts(installed, mails(2))
    assert call(capsys, monkeypatch, "run", "tag-document")[0] == 0
    bill, today = simulator.bill(), f"{datetime.now(UTC):%Y-%m-%d}"
    path = tmp_path / "bill.json"
    path.write_text(json.dumps(bill))
    code, out, _ = call(capsys, monkeypatch, "cost", "reconcile", str(path), "--from", today, "--to", today, "--json")
    assert (code, json.loads(out)["n_agreeing"], json.loads(out)["difference_usd"]) == (0, 2, "0.000000000000")
    path.write_text(json.dumps(bill["lines"][:1]))
    code, out, _ = call(capsys, monkeypatch, "cost", "reconcile", str(path), "--from", today, "--to", today, "--dry-run")
    assert code == 1 and "settled_not_billed" in out and bill["lines"][1]["call_id"] in out
    path.write_text("[{}]")
    code, _, err = call(capsys, monkeypatch, "cost", "reconcile", str(path))
    assert code == 2 and "bill.json: line 1: model, amount_usd" in err
    code, _, err = call(capsys, monkeypatch, "cost", "reconcile", str(path), "--from", today)
    assert code == 2 and "--from and --to belong together" in err


@pytest.fixture
def answers(installed: Settings) -> Engine:
    """A state store with one unpublished answer, three in the cache and one expired."""
    state, now = open_state(installed.state), datetime.now(UTC)
    kinds = {"journal": (None, None), "cache": (now, None), "old": (now, now - timedelta(days=1))}
    names = ["journal-1", "cache-1", "cache-2", "cache-3", "old-1"]
    row = {"team": "records", "skill": "tag-document", "fingerprint": "f", "request_hash": "h", "tier": "fast", "model": "m"}
    row |= {"content": "größer", "cost_usd": Decimal("0.25"), "answered_at": now}
    rows = [
        row | dict(zip(("published_at", "expires_at"), kinds[name.split("-")[0]], strict=True)) | {"item_id": name, "call_id": name}
        for name in names
    ]
    with state.begin() as connection:
        connection.execute(insert(ANSWERS), rows)
    return state


def left(state: Engine) -> list[str]:
    with reading(state) as connection:
        return sorted(connection.scalars(select(ANSWERS.c.item_id)))


def test_the_cache_is_shown_by_skill_and_state(
    answers: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stats = json.loads(call(capsys, monkeypatch, "cache", "stats", "--json")[1])
    found = {entry["state"]: (entry["n_answers"], entry["size_bytes"], entry["cost_usd"]) for entry in stats["entries"]}
    assert found == {"journal": (1, 8, "0.250000000000"), "cache": (3, 24, "0.750000000000"), "expired": (1, 8, "0.250000000000")}
    assert (stats["n_days"], stats["n_hits"], stats["saved_usd"]) == (7, 0, "0") and stats["oldest_unpublished"]
    assert "tag-document" in call(capsys, monkeypatch, "cache", "stats")[1]


def test_clearing_the_cache_asks_first_and_leaves_what_is_not_published(
    answers: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = call(capsys, monkeypatch, "cache", "clear")
    assert code == 2 and "would delete 4 answers" in err and "--yes" in err and len(left(answers)) == 5
    assert "0 answers are deleted" in call(capsys, monkeypatch, "cache", "clear", "--skill", "answer-question")[2]
    assert "0 answers are deleted" in call(capsys, monkeypatch, "cache", "clear", "--team", "*")[2]
    assert "1 answers are deleted" in call(capsys, monkeypatch, "cache", "clear", "--expired", "--yes")[2]
    assert left(answers) == ["cache-1", "cache-2", "cache-3", "journal-1"]
    assert "3 answers are deleted" in call(capsys, monkeypatch, "cache", "clear", "--team", "records", "--yes")[2]
    assert left(answers) == ["journal-1"]


def test_clearing_unpublished_answers_says_what_they_cost(
    answers: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = call(capsys, monkeypatch, "cache", "clear", "--unpublished")
    assert code == 2 and "1 of these 5 answers are not published yet. They cost $0.250000" in err and len(left(answers)) == 5
    assert call(capsys, monkeypatch, "cache", "clear", "--unpublished", "--yes")[0] == 0 and left(answers) == []


def test_an_empty_inbox_is_a_success_that_says_so(
    installed: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = call(capsys, monkeypatch, "ingest")
    assert code == 0 and "empty" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "tag-documnet"), "Did you mean 'tag-document'"),
        (("run", "tag-document", "--team", "nobody"), "unknown team 'nobody'"),
        (("run", "tag-document", "--first-tier", "huge"), "Allowed: expert, fast, standard"),
        (("run", "answer-question", "--param", "qestion=x"), "Did you mean 'question'"),
        (("lake", "show", "documnets"), "Did you mean 'documents'"),
        (("route", "explain", "nothing", "text"), "unknown skill 'nothing'"),
        (("cost", "report", "--by", "colour"), "Allowed:"),
        (("skills", "show", "nothing"), "unknown skill 'nothing'"),
    ],
)
def test_what_is_not_allowed_is_one_line_with_the_next_step_and_exit_code_2(
    installed: Settings, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = call(capsys, monkeypatch, *words)
    assert (code, out) == (2, "") and said in err and err.startswith("skillyard: ") and "Traceback" not in err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SKILLYARD_PROFILE", "gpt", "unknown profile 'gpt'"),
        ("SKILLYARD_LAKE", "gs://bucket", "neither a path nor"),
        ("SKILLYARD_STATE", "state.db", "SQLAlchemy URL"),
    ],
)
def test_a_wrong_setting_is_named(
    installed: Settings, name: str, value: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    code, _, err = call(capsys, monkeypatch, "run", "tag-document")
    assert code == 2 and said in err


def test_an_inbox_that_does_not_exist_names_its_variable(
    installed: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKILLYARD_INBOX", "/nowhere/at/all")
    code, _, err = call(capsys, monkeypatch, "ingest")
    assert code == 2 and "SKILLYARD_INBOX" in err and "/nowhere/at/all" in err


def test_route_explain_takes_a_text_or_a_file(
    installed: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "note.txt").write_text("Bitte senden Sie uns die Rechnung noch einmal. Danke und freundliche Grüße aus Bremen.")
    code, out, err = call(capsys, monkeypatch, "route", "explain", "tag-document", str(tmp_path / "note.txt"), "--json")
    assert code == 0, err
    explained = json.loads(out)
    assert explained["tier"] == "fast" and explained["features"]["language"] == "de" and "language" in explained["causes"]
    code, out, _ = call(capsys, monkeypatch, "route", "explain", "detect-language", "some text")
    assert code == 0 and "no model is asked" in out


def test_a_skill_is_audited_and_its_quality_reported(
    installed: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def data(*words: str) -> Any:
        code, out, err = call(capsys, monkeypatch, *words, "--json")
        assert code == 0, err
        return json.loads(out)

    publish_texts(installed, mails(4))
    data("run", "tag-document")
    told, done = (data("quality", "audit", "tag-document", "--sample", "3", *more) for more in (["--dry-run"], []))
    assert (told["state"], done["state"], done["n_audited"]) == ("dry_run", "done", 3) and 0 < float(done["cost_usd"]) < float(
        told["cost_usd"]
    )
    assert data("quality", "report") == []
    quality_daily(installed, datetime.now(UTC).date())
    [row] = data("quality", "report")
    assert (row["skill"], row["n_audited"], row["retained"], row["retained_upper"]) == ("tag-document", 3, 1.0, 1.0)


def test_checks_are_listed_and_a_run_that_differs_is_accepted(
    installed: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_texts(installed, mails(4))
    run_id = json.loads(call(capsys, monkeypatch, "run", "tag-document", "--json")[1])["run_id"]
    table = "results/tag-document/v1"
    code, out, err = call(capsys, monkeypatch, "quality", "checks", "--table", table, "--json")
    assert code == 0 and f"0 checks failed of {len(json.loads(out))}." in err
    assert {(row["table"], row["run_id"], row["has_passed"]) for row in json.loads(out)} == {(table, run_id, True)}
    assert call(capsys, monkeypatch, "quality", "checks", "--failed")[1] == "no rows\n"
    code, _, err = call(capsys, monkeypatch, "quality", "accept", table, run_id)
    assert code == 0 and f"{run_id} is the new normal of {table}" in err
    code, _, err = call(capsys, monkeypatch, "quality", "accept", table, "nothing")
    assert code == 2 and f"Allowed: {run_id}" in err


def test_an_explanation_shows_a_row_per_tier(
    installed: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_audit(installed, "tag-document", publish_texts(installed, mails(20)), {"fast": 0.5, "expert": 1.0}, datetime.now(UTC))
    trained = train_challenger(installed, datetime.now(UTC))
    assert trained.challenger
    promote(Lake(installed.lake), trained.challenger, "a test", "because", datetime.now(UTC))
    code, out, err = call(capsys, monkeypatch, "route", "explain", "tag-document", "Where is my parcel?")
    assert code == 0, err
    fast, standard, expert = (line.split() for line in out.splitlines() if line.split()[:1] in (["fast"], ["standard"], ["expert"]))
    assert len(fast) == len(expert) == 6 and all(float(number) > 0 for number in (*fast[1:], *expert[1:]))
    assert standard[-1] == "evidence"


def test_the_router_is_trained_shown_promoted_and_rolled_back(
    installed: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*words: str) -> Any:
        code, out, err = call(capsys, monkeypatch, "router", *words, "--json")
        assert code == 0, err
        return json.loads(out)

    assert call(capsys, monkeypatch, "router", "train")[1].startswith("heuristic stays: no evidence")
    assert call(capsys, monkeypatch, "router", "replay")[0] == call(capsys, monkeypatch, "router", "rollback")[0] == 2
    publish_audit(installed, "tag-document", publish_texts(installed, mails(60)), {"fast": 0.5, "expert": 1.0}, datetime.now(UTC))
    assert ask("train", "--dry-run")["reason"].startswith("dry run") and ask("show")["versions"] == []
    version = ask("train")["challenger"]
    assert [row["version"] for row in ask("show")["versions"]] == [version]
    assert ask("promote", version)["previous"] == "heuristic"
    shown = ask("show")
    assert (shown["champion"], shown["policies"]["tag-document"]["threshold"]) == (version, None)
    assert [made["version"] for made in ask("replay")] == [version, "heuristic"]
    assert "tag-document" in call(capsys, monkeypatch, "router", "replay")[1]
    assert ask("rollback")["version"] == "heuristic"
    assert call(capsys, monkeypatch, "router", "promote", "nothing")[0] == 2


def test_a_run_takes_labels_from_a_file_and_says_where_it_is_wrong(
    installed: Settings, tmp_path: Path, simulator: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_texts(installed, mails(2))
    file = tmp_path / "mine.yaml"
    file.write_text("labels: {red: {description: it speaks of red}, blue: {text: it speaks of blue}}")
    code, out, err = call(capsys, monkeypatch, "run", "tag-document", "--labels", str(file))
    assert (code, out) == (2, "") and f"{file}" in err and "labels.blue" in err and simulator.calls() == []
    file.write_text(file.read_text().replace("text:", "description:"))
    code, out, err = call(capsys, monkeypatch, "run", "tag-document", "--labels", str(file), "--json")
    assert code == 0 and json.loads(out)["n_results"] == 2, err
    shown = json.loads(call(capsys, monkeypatch, "lake", "show", "results/tag-document", "--columns", "tags", "--json")[1])
    assert {tag for row in shown for tag in row["tags"]} <= {"red", "blue"}


def test_an_eval_below_the_skills_pass_rate_ends_with_1(
    installed: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = call(capsys, monkeypatch, "skills", "eval", "tag-document", "--tier", "fast")
    assert code == 1 and "fast has to reach 85%: not reached." in err and "late-parcel" in out
    code, out, _ = call(capsys, monkeypatch, "skills", "eval", "tag-document", "--tier", "fast", "--json")
    report = json.loads(out)
    assert code == 1 and not report["is_good"] and [score["tier"] for score in report["scores"]] == ["fast"]
    assert report["proven"] is None and "too many cases are wrong" in report["verdict"] and report["verdicts"][0]["message"]
    shown = json.loads(call(capsys, monkeypatch, "skills", "show", "tag-document", "--json")[1])
    assert shown["evals"] == report["verdict"]


def test_a_plan_and_the_red_flags_from_the_command_line(
    installed: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = call(capsys, monkeypatch, "cost", "plan")
    assert (code, out) == (2, "") and "Begin with documents: skillyard ingest" in err
    publish_texts(installed, mails(3))
    call(capsys, monkeypatch, "run", "tag-document")
    code, out, _ = call(capsys, monkeypatch, "cost", "plan", "--json", "--out", str(tmp_path / "plan.md"))
    plan = json.loads(out)
    assert code == 0 and (plan["n_items"], plan["classes"][0]["complexity"]) == (3, "low")
    assert Decimal(plan["projections"][0]["month"]["usd"]) == 30 * Decimal(plan["cost_usd"]["answer"])
    assert (tmp_path / "plan.md").read_text().startswith("# Scaling plan of ")
    code, out, err = call(capsys, monkeypatch, "cost", "flags", "--json")
    assert (code, json.loads(out)) == (0, []) and err.startswith("red flags on ") and err.endswith(": 0\n")
