"""Speech in a WAV file becomes timed English text: pocketsphinx with the model that lies in its wheel."""

import wave
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

from skillyard.documents.result import Refused
from skillyard.skills import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16_000
"""Samples a second that the model was made from."""
MIN_RATE, MAX_RATE, MAX_CHANNELS, MAX_SECONDS = 8_000, 192_000, 8, 1_200
MAX_SEGMENT_S = 20.0
"""Speech without a pause is cut here: the decoder's memory grows with each segment."""
BLOCK_S, TAPS = 10, 129
PREFIX, NO_PCM = b"RIFF", "unknown format"


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said from when to when; no segment where nothing is said."""
    from pocketsphinx import Decoder

    samples = _samples(source.data)
    decoder = Decoder(samprate=RATE, loglevel="FATAL")  # one for each file: it goes by what it has heard before
    found = [_segment(decoder, *part) for part in _spoken(samples.tobytes())]
    return {
        "segments": [segment for segment in found if segment["text"]],
        "language": "en",
        "duration_s": round(len(samples) / RATE, 2),
    }


def _samples(data: bytes) -> "NDArray[Any]":
    """Return one channel of 16 bits at ``RATE``; ``Refused`` what is no WAV of plain PCM, or too long."""
    import numpy

    if not data.strip():
        raise Refused("empty", f"{len(data)} bytes")
    if data[:4] != PREFIX or data[8:12] != b"WAVE":
        raise Refused("unsupported_type", "no WAV file")
    try:
        with wave.open(BytesIO(data)) as file:
            rate, n_channels, width, n_frames = file.getframerate(), file.getnchannels(), file.getsampwidth(), file.getnframes()
            if not (MIN_RATE <= rate <= MAX_RATE and n_channels <= MAX_CHANNELS and width <= 4):
                raise Refused("unsupported_type", f"WAV of {rate} Hz, {n_channels} channels, {8 * width} bits")
            if min(n_frames, len(data)) > MAX_SECONDS * rate:
                raise Refused("too_large", f"{n_frames / rate:,.0f} s of sound, allowed are {MAX_SECONDS:,}")
            blocks = iter(lambda: file.readframes(BLOCK_S * rate), b"")  # the whole of it in memory several times would be too much
            return _at_rate(numpy.concatenate([_mono(block, n_channels, width) for block in blocks] or [numpy.zeros(0, "<i2")]), rate)
    except (wave.Error, EOFError, RuntimeError) as error:
        raise Refused("unsupported_type" if NO_PCM in str(error) else "corrupt", f"a WAV file that cannot be read: {error}") from error


def _mono(frames: bytes, n_channels: int, width: int) -> "NDArray[Any]":
    """Return the mean of all channels in 16 bits."""
    import numpy

    whole = len(frames) // (n_channels * width) * n_channels
    if width == 1:
        values = (numpy.frombuffer(frames, numpy.uint8, whole).astype(numpy.int16) - 128) << 8
    else:  # the two highest bytes, the last ones of each sample
        values = numpy.frombuffer(frames, numpy.uint8, whole * width).reshape(-1, width)[:, -2:].copy().view("<i2")
    return values.reshape(-1, n_channels).mean(axis=1, dtype=numpy.float32).astype(numpy.int16)


def _at_rate(samples: "NDArray[Any]", rate: int) -> "NDArray[Any]":
    """Return the samples at ``RATE``, block by block; what is too high for it is filtered out first."""
    import numpy

    if rate == RATE or not len(samples):
        return samples
    taps = numpy.sinc((numpy.arange(TAPS) - TAPS // 2) * min(1.0, 0.95 * RATE / rate)) * numpy.hamming(TAPS)
    blocks = []
    for start in range(0, len(samples), BLOCK_S * rate):
        first, end = max(0, start - TAPS), min(len(samples), start + BLOCK_S * rate)
        near = samples[first : end + TAPS].astype(numpy.float32)
        smooth = numpy.convolve(near, taps / taps.sum(), "same") if rate > RATE else near
        at = numpy.arange(-(-start * RATE // rate), -(-end * RATE // rate)) * (rate / RATE) - first
        blocks.append(numpy.interp(at, numpy.arange(len(smooth)), smooth).clip(-32768, 32767).astype(numpy.int16))
    return numpy.concatenate(blocks)


def _spoken(pcm: bytes) -> Iterator[tuple[float, float, bytes]]:
    """Yield what is speech by its sound: from, to, and the samples."""
    from pocketsphinx import Endpointer

    finder, held, began_at, cut_at = Endpointer(sample_rate=RATE), bytearray(), 0.0, None
    for start in range(0, len(pcm), finder.frame_bytes):
        frame = pcm[start : start + finder.frame_bytes]
        is_last = start + finder.frame_bytes >= len(pcm)
        said = finder.end_stream(frame) if is_last else finder.process(frame)
        if said is None:
            continue
        began_at = cut_at if cut_at is not None else finder.speech_start
        held += said
        seconds = len(held) / (2 * RATE)
        if not finder.in_speech or is_last or seconds >= MAX_SEGMENT_S:
            yield began_at, began_at + seconds, bytes(held)
            cut_at = began_at + seconds if finder.in_speech else None
            held.clear()


def _segment(decoder: Any, start_s: float, end_s: float, pcm: bytes) -> dict[str, Any]:
    decoder.start_utt()
    decoder.process_raw(pcm, False, True)
    decoder.end_utt()
    words = [(part.word.partition("(")[0], part.prob) for part in decoder.seg() or () if part.word[0] not in "<[+"]
    mean = sum(prob for _, prob in words) / len(words) if words else 0.0
    text = " ".join(word for word, _ in words)
    return {"start_s": round(start_s, 2), "end_s": round(end_s, 2), "text": text, "confidence": round(min(max(mean, 0.0), 1.0), 4)}
