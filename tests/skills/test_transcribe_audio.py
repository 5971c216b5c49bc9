"""Sound is brought to one channel of 16 bits and 16 kHz, whatever it was recorded as."""

import io
import sys
import wave
from pathlib import Path
from typing import Any

import numpy
import pytest

from skillyard.documents.result import Refused
from skillyard.skills import Catalogue, Source
from skillyard.skills.handler import load_handler

INCLUDE = Path(__file__).parents[2] / "include"
SKILL = Catalogue(INCLUDE).load("transcribe-audio")
load_handler(SKILL.folder)
HANDLER: Any = sys.modules["skillyard_skill_transcribe_audio"]


def wav(values: Any, rate: int, n_channels: int, width: int) -> bytes:
    """Return a WAV file of samples between -1 and 1, the same on every channel."""
    whole = (numpy.repeat(values, n_channels) * (2 ** (8 * width - 1) - 1)).astype("<i8")
    raw = (whole + 128).astype("u1").tobytes() if width == 1 else whole.view("u1").reshape(-1, 8)[:, :width].tobytes()
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((n_channels, width, rate, 0, "NONE", ""))
        file.writeframes(raw)
    return out.getvalue()


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000])
@pytest.mark.parametrize(("n_channels", "width"), [(1, 1), (2, 2), (1, 3), (2, 4)])
def test_a_tone_stays_the_same_tone(rate: int, n_channels: int, width: int) -> None:
    seconds = 11.5
    tone = 0.5 * numpy.sin(numpy.arange(int(rate * seconds)) / rate * 2 * numpy.pi * 440)
    found = HANDLER._samples(wav(tone, rate, n_channels, width)).astype(float)
    assert abs(len(found) - seconds * 16_000) <= 1
    assert numpy.argmax(abs(numpy.fft.rfft(found[:160_000]))) == 4_400
    expected = 16_384 * numpy.sin(numpy.arange(len(found)) / 16_000 * 2 * numpy.pi * 440)
    assert abs(found - expected)[100:-100].max() < 1_200


def test_what_is_too_high_for_the_model_is_filtered_out() -> None:
    hiss = 0.5 * numpy.sin(numpy.arange(48_000) / 48_000 * 2 * numpy.pi * 15_000)
    assert abs(HANDLER._samples(wav(hiss, 48_000, 1, 2))[100:-100]).max() < 300


def test_what_cannot_be_transcribed_is_refused_and_nothing_else_raised() -> None:
    long = wav(numpy.zeros(8_000 * 1_201), 8_000, 1, 1)
    for data, kind in ((long, "too_large"), (b"", "empty"), (wav(numpy.zeros(10), 4_000, 1, 2), "unsupported_type")):
        with pytest.raises(Refused, match=kind):
            SKILL.run_library(Source(data=data))
    whole = wav(numpy.zeros(500), 16_000, 1, 2)
    for end in range(1, 60):
        try:
            assert SKILL.run_library(Source(data=whole[:end]))
        except Refused as refused:
            assert refused.error_kind in ("corrupt", "unsupported_type")
