"""Skills on real data, with what is embedded alone: how right they are, how fast, and what a thousand documents cost.

Libraries read languages (SIB-200, 22 of them), personal data (presidio's synthetic sentences), tables (drawn PDFs) and pictures. The
embedded model of 135M parameters sorts bank queries by 77 intents (BANKING77) and sentences by 7 topics (SIB-200), with the data's labels
in place of the skills' own and through whole runs: documents, plan, route, lane, publish. Beside it stands what always saying the most
frequent label would reach. Needs the shared data (``--data DIR``).
"""

import csv
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "GX_ANALYTICS_ENABLED": "false"}

from bench.figures import Figure, parser, report
from bench.ocr import TRUTH, digests, f1
from skillyard.lake.lake import Lake
from skillyard.lake.read import read
from skillyard.routing.adequacy import PassRate, inadequate_tiers
from skillyard.running.pipeline import run_skill
from skillyard.running.plan import plan_run
from skillyard.running.runs import PlanRequest, results_of
from skillyard.settings import Settings
from skillyard.skills import Catalogue, Label, Skill, Source
from tests.running.lake_of import publish_texts

CATALOGUE = Catalogue(ROOT / "include")
LANGUAGES = {
    "arb_Arab": "ar", "deu_Latn": "de", "ell_Grek": "el", "eng_Latn": "en", "fra_Latn": "fr", "heb_Hebr": "he", "hin_Deva": "hi",
    "ind_Latn": "id", "ita_Latn": "it", "jpn_Jpan": "ja", "kor_Hang": "ko", "nld_Latn": "nl", "pol_Latn": "pl", "por_Latn": "pt",
    "rus_Cyrl": "ru", "spa_Latn": "es", "swh_Latn": "sw", "tha_Thai": "th", "tur_Latn": "tr", "ukr_Cyrl": "uk", "vie_Latn": "vi",
    "zho_Hans": "zh",
}  # fmt: skip
STRUCTURED = ("EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS", "US_SSN", "PHONE_NUMBER")
"""Kinds with a pattern: names and places are not the library's."""
LEAST_LANGUAGE, LEAST_RECALL = 0.98, 0.95
Cases = Sequence[tuple[str, str]]
"""Texts and their true labels."""


def main() -> int:
    """Measure and print."""
    options = parser(__doc__ or "")
    options.add_argument(
        "--data", type=Path, metavar="DIR", help="the shared data folder, with docs/cls_sib200, docs/cls_banking77, docs/pii_presidio …"
    )
    chosen = options.parse_args()
    if chosen.data is None or not (chosen.data / "docs/cls_sib200").is_dir():
        print("Skipped: --data DIR names no folder with docs/cls_sib200 (its README.md names the source).")
        return 0
    docs, is_quick = chosen.data / "docs", chosen.quick
    figures = [*languages(docs, is_quick), *personal_data(docs, is_quick), *tables(docs, is_quick), *pictures(docs, is_quick)]
    n = 4 if is_quick else 30
    figures += embedded("classify-intent", "label", labelled(docs / "cls_banking77/test.csv", ","), n)
    figures += embedded("classify-topic", "labels", labelled(docs / "cls_sib200/eng_Latn/test.tsv", "\t"), n)
    return report(figures, f"SIB-200, BANKING77, presidio's sentences, drawn PDFs, pictures; {n} texts a classifier, seed 1", chosen.json)


def languages(docs: Path, is_quick: bool) -> Iterator[Figure]:
    """Yield how often the language of a whole sentence is right, and of which it is worst."""
    skill, right, began = CATALOGUE.load("detect-language"), {}, time.perf_counter()
    for folder, language in LANGUAGES.items():
        rows = list(
            csv.DictReader((docs / "cls_sib200" / folder / "test.tsv").open(encoding="utf-8"), delimiter="\t", quoting=csv.QUOTE_NONE)
        )
        texts = [row["text"] for row in rows[: 20 if is_quick else None]]
        right[language] = [value_of(skill, text)["language"] == language for text in texts]
    took_s, every = time.perf_counter() - began, [one for found in right.values() for one in found]
    worst = min(right, key=lambda language: mean(right[language]))
    yield Figure("detect-language: right, 22 languages", mean(every), "share", f">= {LEAST_LANGUAGE}", mean(every) >= LEAST_LANGUAGE)
    yield Figure(f"detect-language: the worst of them, {worst}", mean(right[worst]), "share")
    yield Figure("detect-language: speed", len(every) / took_s, "documents/s")


def personal_data(docs: Path, is_quick: bool) -> Iterator[Figure]:
    """Yield recall by kind and in all, and how much of what was masked is personal data."""
    skill, found, true = CATALOGUE.load("redact-personal-data"), Counter[str](), Counter[str]()
    n_masked = n_right = 0
    sentences = json.loads((docs / "pii_presidio/synth_dataset_v2.json").read_text())[: 200 if is_quick else None]
    value_of(skill, "warm up")
    began = time.perf_counter()
    for sentence in sentences:
        spans = [(span["start"], span["end"]) for span in value_of(skill, sentence["full_text"])["spans"]]
        known = [(s["start_position"], s["end_position"], s["entity_type"]) for s in sentence["spans"]]
        for start, end, kind in known:
            if kind in STRUCTURED:
                true[kind] += 1
                found[kind] += any(first < end and last > start for first, last in spans)
        n_masked += len(spans)
        n_right += sum(any(first < end and last > start for start, end, _ in known) for first, last in spans)
    took_s = time.perf_counter() - began
    recall = found.total() / true.total()
    yield Figure("redact-personal-data: recall, structured kinds", recall, "share", f">= {LEAST_RECALL}", recall >= LEAST_RECALL)
    yield from (
        Figure(f"redact-personal-data: recall, {kind} (n={true[kind]})", found[kind] / true[kind], "share")
        for kind in STRUCTURED
        if true[kind]
    )
    yield Figure("redact-personal-data: precision, any kind", n_right / n_masked, "share")
    yield Figure("redact-personal-data: speed", len(sentences) / took_s, "documents/s")


def tables(docs: Path, is_quick: bool) -> Iterator[Figure]:
    """Yield how much of drawn tables stands in the cells, by word, of languages that are written from left to right with spaces."""
    skill, scores, began = CATALOGUE.load("extract-pdf-tables"), [], time.perf_counter()
    for language in ("de", "en", "es") if is_quick else ("de", "el", "en", "es", "ro", "ru", "tr", "vi"):
        file = docs / "pdf_synth" / "pdf" / f"{language}_table.pdf"
        if file.is_file():
            value = read_file(skill, file)
            rows = [*(table["header"] or () for table in value["tables"]), *(row["cells"] for row in value["rows"])]
            cells = " ".join(str(cell or "") for row in rows for cell in row)
            scores.append(f1(cells, digests((docs / "pdf_synth" / "truth" / f"{language}_table.txt").read_text())))
    yield Figure(f"extract-pdf-tables: F1 by word, {len(scores)} PDFs", mean(scores), "F1")
    yield Figure("extract-pdf-tables: speed", len(scores) / (time.perf_counter() - began), "documents/s")


def pictures(docs: Path, is_quick: bool) -> Iterator[Figure]:
    """Yield how much of the writing in pictures is read, and how many pictures are left to a model that sees."""
    skill, truth = CATALOGUE.load("ocr-page-image"), json.loads(TRUTH.read_text())
    files = [file for file in sorted((docs / "images_text").glob("*.*g")) if file.relative_to(docs).as_posix() in truth]
    files, began = files[: 2 if is_quick else None], time.perf_counter()
    read = [(file, skill.run_library(Source(data=file.read_bytes(), name=file.name))) for file in files]
    took_s = time.perf_counter() - began
    scores = [f1(value["text"], Counter(truth[file.relative_to(docs).as_posix()].split())) for file, value in read if value]
    yield Figure(f"ocr-page-image: F1 by word, {len(scores)} pictures", mean(scores) if scores else 0.0, "F1")
    yield Figure("ocr-page-image: left to a model", sum(value is None for _, value in read) / len(read), "share")
    yield Figure("ocr-page-image: speed", len(files) / took_s, "documents/s")


def embedded(name: str, column: str, known: Cases, n: int) -> Iterator[Figure]:
    """Yield how often a whole run on the embedded model gives the true label, its speed and what a thousand cost."""
    cases = random.Random(1).sample(known, n)
    skill, truth = CATALOGUE.load(name), {f"{number:04}.txt": label for number, (_, label) in enumerate(cases)}
    labels = {label: Label(label, label.replace("_", " "), (), ()) for label in sorted({label for _, label in known})}
    with tempfile.TemporaryDirectory() as folder:
        settings = installation(Path(folder), name)
        publish_texts(settings, {f"{number:04}.txt": text for number, (text, _) in enumerate(cases)})
        began = time.perf_counter()
        run_skill(settings, plan_run(settings, PlanRequest(name, "bench", "cli", labels=labels)), lambda _: None)
        took_s = time.perf_counter() - began
        rows = read(Lake(settings.lake), results_of(skill)).to_pylist()
        calls = read(Lake(settings.lake), "llm_calls", ["cost_usd"])["cost_usd"].to_pylist()
    answers = {row["uri"].rpartition("/")[2]: row[column] for row in rows}
    right = [label in listed(answers.get(file)) for file, label in truth.items()]
    common = Counter(truth.values()).most_common(1)[0][1] / len(truth)
    shown = f"{name}, 135M embedded, {len(labels)} labels"
    rate = PassRate(sum(right), len(right))
    yield Figure(f"{shown}: right", rate.share, "share")
    yield Figure(f"{shown}: at least (Wilson, 95 %)", rate.lower, "share")
    yield Figure(f"{shown}: at most", rate.upper, "share")
    is_ruled_out = bool(inadequate_tiers({"fast": rate}, skill.min_pass_rate))
    yield Figure(f"{shown}: tier ruled out below {skill.min_pass_rate:g}", is_ruled_out, "1 is yes")
    yield Figure(f"{shown}: the most frequent label", common, "share")
    yield Figure(f"{shown}: ended as rejects", 1 - len(rows) / len(truth), "share")
    yield Figure(f"{shown}: speed", len(truth) / took_s, "documents/s")
    yield Figure(f"{shown}: cost of 1,000", float(sum(filter(None, calls), Decimal(0)) / len(truth) * 1_000), "USD")


def labelled(file: Path, delimiter: str) -> Cases:
    """Return all texts of a file, with their labels as names of labels."""
    rows = csv.DictReader(file.open(encoding="utf-8"), delimiter=delimiter)
    return [(row["text"], re.sub(r"\W+", "_", row["category"].lower()).strip("_")) for row in rows]


def installation(folder: Path, name: str) -> Settings:
    """Return an embedded installation in which the skill works on every text: the data are sentences, not documents that were sorted."""
    include = shutil.copytree(ROOT / "include", folder / "include")
    file = include / "skills" / name / "skill.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"applies_to": {"min_chars": 1}}))
    (folder / "inbox").mkdir()
    own = {
        "HOME": ROOT,
        "INCLUDE": include,
        "LAKE": folder / "lake",
        "INBOX": folder / "inbox",
        "STATE": f"sqlite:///{folder / 'state.db'}",
    }
    return Settings.from_env({f"SKILLYARD_{key}": str(value) for key, value in own.items()} | {"SKILLYARD_PROFILE": "embedded"})


def value_of(skill: Skill, text: str) -> Mapping[str, Any]:
    """Return what a library skill says of a text."""
    return skill.run_library(Source(text)) or {}


def read_file(skill: Skill, file: Path) -> Mapping[str, Any]:
    """Return what a library skill says of a file."""
    return skill.run_library(Source(data=file.read_bytes(), name=file.name)) or {}


def listed(answer: Any) -> Iterable[Any]:
    """Return one label, or several."""
    return answer if isinstance(answer, list) else [answer]


if __name__ == "__main__":
    sys.exit(main())
