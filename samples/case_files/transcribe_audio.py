"""Speaks the sounds of the cases of transcribe-audio: ``python samples/case_files/transcribe_audio.py``.

The voice is that of espeak-ng; where that program is not installed, the spoken files stay as they are.
"""

import shutil
import subprocess
import wave
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "include" / "skills" / "transcribe-audio" / "evals" / "files"
RATE = 16_000


def main() -> None:
    """Write every file."""
    FILES.mkdir(parents=True, exist_ok=True)
    silence = numpy.zeros(RATE)
    write("silence.wav", numpy.random.default_rng(4).normal(0, 3, RATE), n_bytes=2)
    (FILES / "renamed.wav").write_bytes(b"ID3\4\0\0\0\0\0\0" + bytes(200))
    if shutil.which("espeak-ng") is None:
        print("espeak-ng is not installed: the spoken files are left as they are")
        return
    write("question.wav", spoken("what time is it"), n_bytes=2)
    write("pause.wav", numpy.concatenate([spoken("president of the united states"), silence, spoken("the meeting is tomorrow")]))
    write("stereo.wav", spoken("nine eight seven six five", 22_050), rate=22_050, n_channels=2)
    write("german.wav", spoken("Guten Tag, das Büro ist heute geschlossen", voice="de"))
    (FILES / "half.wav").write_bytes((FILES / "question.wav").read_bytes()[:30])


def spoken(text: str, rate: int = RATE, voice: str = "en-us+f2") -> Any:
    """Return a text as it is spoken, with a little silence around it."""
    said = subprocess.run(["espeak-ng", "-v", voice, "-s", "145", "--stdout", text], capture_output=True, check=True).stdout
    with wave.open(BytesIO(said)) as file:
        own = file.getframerate()
    samples = numpy.frombuffer(said[44:], "<i2").astype(float)
    at = numpy.arange(int(len(samples) * rate / own)) * own / rate
    return numpy.interp(at, numpy.arange(len(samples)), samples)


def write(name: str, samples: Any, rate: int = RATE, n_channels: int = 1, n_bytes: int = 1) -> None:
    """Write samples of 16 bits, in 8 bits unless asked otherwise."""
    values = samples.astype("<i2") if n_bytes == 2 else ((samples / 256).round() + 128).clip(0, 255).astype("u1")
    with wave.open(str(FILES / name), "wb") as file:
        file.setparams((n_channels, n_bytes, rate, 0, "NONE", ""))
        file.writeframes(numpy.repeat(values, n_channels).tobytes())


if __name__ == "__main__":
    main()
