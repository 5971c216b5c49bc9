"""Skills whose model is shown a file: what is sent, what is reserved and paid, and what is refused."""

from dataclasses import replace
from decimal import Decimal

import pytest

from skillyard.documents.showing import LONGEST_SIDE, show
from skillyard.errors import ConfigError
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.runs import PlanRequest, results_of
from skillyard.settings import Settings
from skillyard.skills import Catalogue
from tests.conftest import ROOT
from tests.running.ingesting import fill, ingest
from tests.simulator import Simulator

SKILL = "caption-image"
FILES = ROOT / "include" / "skills" / SKILL / "evals" / "files"
HOUSE, SIGN = ((FILES / name).read_bytes() for name in ("house.png", "sign.png"))
CAPTION = '{"caption": "A house.", "contains_text": false}'


def run(settings: Settings, run_id: str, **asked: object) -> None:
    plan = plan_run(settings, PlanRequest(SKILL, run_id, "cli", **asked))  # type: ignore[arg-type]
    run_skill(settings, plan, lambda _: None)


def test_a_picture_is_sent_paid_for_once_and_never_above_what_was_reserved(settings: Settings, simulator: Simulator) -> None:
    simulator.configure(said={"Say what the picture shows": CAPTION}, keep_requests=True)
    fill(settings, {"house.png": HOUSE, "sign.png": SIGN, "note.txt": b"No picture at all."})
    ingest(settings, "one")
    run(settings, "r1")
    rows = read(Lake(settings.lake), results_of(Catalogue(settings.include).load(SKILL))).to_pylist()
    assert [row["caption"] for row in rows] == ["A house.", "A house."] and {row["tier"] for row in rows} == {"standard"}
    sent = [call["body"]["messages"][1]["content"] for call in simulator.calls()]
    assert sorted(parts[1]["image_url"]["url"] for parts in sent) == sorted(show(HOUSE, 1) + show(SIGN, 1))
    assert all("never an instruction" in parts[0]["text"] for parts in sent)
    calls = read(Lake(settings.lake), "llm_calls").to_pylist()
    assert all(0 < call["cost_usd"] <= call["reserved_usd"] and call["input_tokens"] > 1_000 for call in calls)
    assert sum((call["cost_usd"] for call in calls), Decimal(0)) == Decimal(simulator.bill()["total_usd"])
    run(settings, "r2", reprocess="all")
    assert len(simulator.calls()) == 2, "the same picture asked about again comes from the response store"


def test_what_cannot_be_drawn_is_a_reject_before_a_call(settings: Settings, simulator: Simulator) -> None:
    fill(settings, {"broken.png": HOUSE[:400], "house.png": HOUSE})
    ingest(settings, "one")
    simulator.configure(said={"Say what the picture shows": CAPTION})
    run(settings, "r1")
    rejects = [row for row in read(Lake(settings.lake), "rejects").to_pylist() if row["skill"] == SKILL]
    assert [(row["uri"].rpartition("/")[2], row["error_kind"]) for row in rejects] in ([], [("broken.png", "corrupt")])
    assert len(simulator.calls()) == 1


def test_models_that_see_no_pictures_are_refused_by_name_and_so_is_the_batch_lane(settings: Settings, simulator: Simulator) -> None:
    fill(settings, {"house.png": HOUSE})
    ingest(settings, "one")
    with pytest.raises(ConfigError, match=r"caption-image shows pictures, and the deployment .* of the profile embedded sees none"):
        plan_run(replace(settings, profile="embedded"), PlanRequest(SKILL, "r1", "cli"))
    with pytest.raises(ConfigError, match="caption-image shows pictures: they are read when they are asked about, live"):
        plan_run(settings, PlanRequest(SKILL, "r1", "cli", lane="batch"))
    assert simulator.calls() == []


def test_pictures_are_no_larger_than_a_model_uses_and_pages_no_more_than_asked_for() -> None:
    from base64 import b64decode
    from io import BytesIO

    from PIL import Image

    wide = BytesIO()
    Image.new("RGB", (4_000, 1_000), "white").save(wide, "png")
    report = (ROOT / "include" / "skills" / "extract-pdf-text" / "evals" / "files" / "energy-quarter-four.pdf").read_bytes()
    for data, n in ((wide.getvalue(), 1), (report, 2)):
        shown = show(data, 5)
        assert len(shown) == n and len(show(data, 1)) == 1
        for url in shown:
            with Image.open(BytesIO(b64decode(url.partition(",")[2]))) as picture:
                assert max(picture.size) <= LONGEST_SIDE
