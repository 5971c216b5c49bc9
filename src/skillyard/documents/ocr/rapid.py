"""rapidocr in this process: the models lie in its wheel, nothing is fetched.

Its settings here take half the time and memory that its own take: lines are looked for in a picture of at most ``DETECT_SIDE`` (they are
read from the full one), each is read by itself (a batch is as wide as its longest), by one thread.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillyard.documents.ocr.layout import Line, in_reading_order, is_written_downwards
from skillyard.documents.ocr.reading import Reading
from skillyard.memory import trim_heap

if TYPE_CHECKING:
    from PIL.Image import Image

DETECT_SIDE = 1024
"""Pages of 200 dpi are read no better at 2,000, which takes three times the memory; at 1,280 a page peaks 150 MB higher."""
MODELS = {"Det": "*_det_*.onnx", "Rec": "*_rec_*.onnx", "Cls": "*_cls_*.onnx"}


def is_there() -> bool:
    """Return whether the library and its models are installed."""
    return _engine() is not None


def read(picture: "Image") -> Reading:
    """Return the lines of a picture; the confidence is that of its lines, each counted by its words."""
    scored, version = read_lines(picture)
    if not scored:
        return Reading("", f"rapidocr {version}", 0.0, 0)
    lines = [line for line, _ in scored]
    return Reading(in_reading_order(lines), f"rapidocr {version}", mean_confidence(scored), len(lines), is_written_downwards(lines))


def read_lines(picture: "Image") -> tuple[list[tuple[Line, float]], str]:
    """Return the lines of a picture, as they were found, each with its confidence, and the engine's version."""
    import numpy

    engine, version = _engine() or _missing()
    found = engine(numpy.asarray(picture.convert("RGB")))
    trim_heap()  # every width of line leaves gaps, which grow to 250 MB over some pages
    if found.boxes is None or not found.txts:
        return [], version
    lines = [Line.of(box.tolist(), text) for box, text in zip(found.boxes, found.txts, strict=True)]
    return [(line, float(score)) for line, score in zip(lines, found.scores, strict=True)], version


def mean_confidence(scored: Sequence[tuple[Line, float]]) -> float:
    """Return the confidence of lines, each counted by its words."""
    weights = [max(1, len(line.text.split())) for line, _ in scored]
    return sum(score * weight for (_, score), weight in zip(scored, weights, strict=True)) / sum(weights)


@lru_cache(maxsize=1)
def _engine() -> tuple[Any, str] | None:
    """Return the engine and its version, loaded once a process; None when the library or a model is not installed."""
    try:
        import rapidocr
    except ImportError:
        return None
    from importlib.metadata import version

    folder = Path(rapidocr.__file__).parent / "models"
    models = {f"{part}.model_path": next(map(str, sorted(folder.glob(name))), None) for part, name in MODELS.items()}
    if None in models.values():
        return None
    settings = {
        "Global.log_level": "critical",
        "Global.use_cls": False,
        "Global.max_side_len": 4096,
        "Det.limit_type": "max",
        "Det.limit_side_len": DETECT_SIDE,
        "Rec.rec_batch_num": 1,
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    }
    return rapidocr.RapidOCR(params=settings | models), ".".join(version("rapidocr").split(".")[:2])


def _missing() -> tuple[Any, str]:
    raise ImportError("rapidocr is not installed")
