"""A mixed skill over pictures: the library answers for nothing what it is sure of, a model is shown the rest."""

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

FILES = ROOT / "include" / "skills" / "ocr-page-image" / "evals" / "files"
SEEN = '{"text": "Gross 7 410 kg", "lines": [{"text": "Gross 7 410 kg", "box": null, "confidence": null}], "mean_confidence": null}'


def test_a_clean_page_costs_nothing_and_one_upside_down_is_shown_to_a_model(settings: Settings, simulator: Simulator) -> None:
    simulator.configure(said={"Copy the text that stands on the picture": SEEN}, keep_requests=True)
    fill(settings, {name: (FILES / name).read_bytes() for name in ("notice.png", "blank.png", "upside-down.png")})
    ingest(settings, "one")
    run_skill(settings, plan_run(settings, PlanRequest("ocr-page-image", "r1", "cli")), lambda _: None)
    table = results_of(Catalogue(settings.include).load("ocr-page-image"))
    rows = {row["uri"].rpartition("/")[2]: row for row in read(Lake(settings.lake), table).to_pylist()}
    assert rows["notice.png"]["text"].startswith("Harbour office Norrhamn") and rows["blank.png"]["text"] == ""
    assert {rows[name]["tier"] for name in ("notice.png", "blank.png")} == {"none"}
    assert (rows["upside-down.png"]["tier"], rows["upside-down.png"]["text"]) == ("standard", "Gross 7 410 kg")
    assert len(simulator.calls()) == 1
