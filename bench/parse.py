"""Documents in: speed and fidelity of PDF beside bare pypdfium2, hostile files, OCR. Needs the shared data (``--data DIR``)."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.figures import parser, report
from bench.hostile import hostile_figures
from bench.ocr import ocr_figures
from bench.parse_fidelity import fidelity_figures
from bench.parse_speed import speed_figures


def main() -> int:
    """Measure and print."""
    options = parser(__doc__ or "")
    options.add_argument(
        "--data", type=Path, metavar="DIR", help="the shared data folder, with docs/pdf_synth, docs/pdf_kinds, docs/pdf_bad"
    )
    chosen = options.parse_args()
    if chosen.data is None or not (chosen.data / "docs/pdf_synth").is_dir():
        print(
            "Skipped: --data DIR names no folder with docs/pdf_synth, docs/pdf_kinds and docs/pdf_bad (their README.md names each source)."
        )
        return 0
    parts = (speed_figures, fidelity_figures, hostile_figures, ocr_figures)
    figures = [figure for measure in parts for figure in measure(chosen.data, chosen.quick)]
    return report(figures, "PDFs of pdf_kinds/text, pdf_synth, pdf_bad; pictures of images_text", chosen.json)


if __name__ == "__main__":
    sys.exit(main())
