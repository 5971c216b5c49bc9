"""The settings of one installation: read once from ``SKILLYARD_*`` variables, then passed on as a value."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from skillyard.errors import ConfigError

AUDIT_SAMPLE, MOST_AUDITED = 40, 1000
"""Results of a skill that an audit draws unless told otherwise, and the most it may be told."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are. URLs are ``file://…`` or ``s3://…``; plain paths become ``file://``."""

    home: Path
    """The project's folder: ``include/`` and ``.skillyard/`` lie in it."""
    include: Path
    """Skills, profiles, prices, teams and enabled skills."""
    lake: str
    """Root URL of all output tables."""
    inbox: str
    """URL of the documents to ingest."""
    profile: str
    """A name under ``include/profiles``, or the path of a profile file."""
    state: str
    """SQLAlchemy URL of the state store."""
    enabled: Path
    """The file that lists the skills which follow new documents by themselves."""
    audit_sample: int = AUDIT_SAMPLE
    """Results of a skill that its nightly audit draws; 0: no nightly audits."""
    iceberg: str | None = None
    """SQLAlchemy URL of an Iceberg catalog that follows the lake's tables; None: there is none."""
    passwords: Path | None = None
    """A text file of passwords, one a line, that are tried on encrypted documents. What is in it stays in memory."""
    timezone: str = "UTC"
    """The IANA zone whose days reports show unless told otherwise. The tables keep UTC days."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> "Settings":
        """Read the variables; anything unset gets the embedded default under the project's folder."""
        env = os.environ if env is None else env
        home = Path(env.get("SKILLYARD_HOME") or _find_home()).resolve()
        include = Path(env.get("SKILLYARD_INCLUDE") or home / "include").resolve()
        own = home / ".skillyard"
        state = env.get("SKILLYARD_STATE") or f"sqlite:///{own / 'state.db'}"
        return cls(
            home=home,
            include=include,
            lake=as_url(env.get("SKILLYARD_LAKE") or str(own / "lake")),
            inbox=as_url(env.get("SKILLYARD_INBOX") or str(home / "samples" / "inbox")),
            profile=env.get("SKILLYARD_PROFILE") or "embedded",
            state=_sqlalchemy_url("SKILLYARD_STATE", state),
            enabled=Path(env.get("SKILLYARD_ENABLED") or include / "enabled.yaml").resolve(),
            passwords=Path(passwords).resolve() if (passwords := env.get("SKILLYARD_PASSWORDS")) else None,
            audit_sample=_audit_sample(env.get("SKILLYARD_AUDIT_SAMPLE") or str(AUDIT_SAMPLE)),
            iceberg=_sqlalchemy_url("SKILLYARD_ICEBERG", env["SKILLYARD_ICEBERG"]) if env.get("SKILLYARD_ICEBERG") else None,
            timezone=env.get("SKILLYARD_TIMEZONE") or "UTC",
        )

    def load_passwords(self) -> tuple[str, ...]:
        """Return the passwords to try, in their order; ``ConfigError`` when their file cannot be read."""
        if self.passwords is None:
            return ()
        try:
            lines = self.passwords.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"SKILLYARD_PASSWORDS names {self.passwords}, which is not a readable UTF-8 text file.") from error
        return tuple(dict.fromkeys(line for line in lines if line))


def _sqlalchemy_url(variable: str, text: str) -> str:
    if "://" not in text:
        raise ConfigError(f"{variable} is {text!r}: it has to be a SQLAlchemy URL such as sqlite:////path/{variable[10:].lower()}.db.")
    return text


def _audit_sample(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_AUDITED:
        raise ConfigError(f"SKILLYARD_AUDIT_SAMPLE is {text!r}: it has to be a number from 0 (no nightly audits) to {MOST_AUDITED}.")
    return int(text)


def as_url(location: str) -> str:
    """Return a root URL without a trailing slash: ``s3://bucket/prefix`` as it is, a path as ``file:///…``."""
    if location.startswith(("s3://", "file://")):
        return location.rstrip("/")
    if "://" in location:
        raise ConfigError(f"{location!r} is neither a path nor a file:// or s3:// URL.")
    return Path(location).resolve().as_uri()


def _find_home() -> Path:
    """Return the nearest folder, upwards from here, that holds ``include/skills``; else the current one."""
    here = Path.cwd()
    return next((p for p in (here, *here.parents) if (p / "include" / "skills").is_dir()), here)
