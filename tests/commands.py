"""One command of the command line, as a shell would run it."""

import sys

import pytest

from skillyard.cli import main


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of one command."""
    monkeypatch.setattr(sys, "argv", ["skillyard", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), captured.out, captured.err
