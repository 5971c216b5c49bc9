"""What an engine read in a picture, and when that is text at all."""

from dataclasses import dataclass

MIN_CHARS = 3
MIN_CONFIDENCE = 0.4
"""Of a whole picture. What tesseract sees in textures and drawings stays below it, a poor scan of a page does not."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A picture's text in reading order. ``confidence`` is 0..1, the mean over its words; engines are not calibrated to each other."""

    text: str
    parser: str
    confidence: float
    n_lines: int
    is_tall: bool = False
    """Most lines run downwards."""

    @property
    def is_text(self) -> bool:
        """Whether there are letters or digits, read with some confidence, and not mere noise."""
        return self.confidence >= MIN_CONFIDENCE and sum(map(str.isalnum, self.text)) >= MIN_CHARS

    @property
    def letter_share(self) -> float:
        """The share of letters and digits among what is not white space."""
        marks = "".join(self.text.split())
        return sum(map(str.isalnum, marks)) / len(marks) if marks else 0.0
