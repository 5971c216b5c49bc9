"""What a database's error means for the state store, and what to do about it."""

from sqlalchemy import URL

from skillyard.errors import ConfigError, SkillyardError, StateUnavailable

LOCKED = (
    "is locked: another program holds it with an open transaction, such as a database browser, a backup or a run that hangs. "
    "Close it, then try again"
)
NOT_SQLITE = "is not a SQLite database. Set SKILLYARD_STATE to another file, or move this one away"
DAMAGED = (
    "is damaged ({text}). Stop every run, then put a backup in its place, or what `sqlite3 FILE .recover` can save: "
    "it holds answers that were paid and are not published yet"
)
NOT_WRITABLE = (
    "cannot be written ({text}). Give this account the right to, make room on the disk, or set SKILLYARD_STATE to another database"
)
REFUSED = "refuses the connection ({text}). Check user, password and database in SKILLYARD_STATE"
OUT_OF_REACH = "cannot be reached ({text}). Check that the database runs and that SKILLYARD_STATE names its host and port, then try again"

SQLITE: dict[str, tuple[type[SkillyardError], str]] = {
    "SQLITE_BUSY": (StateUnavailable, LOCKED),
    "SQLITE_LOCKED": (StateUnavailable, LOCKED),
    "SQLITE_NOTADB": (ConfigError, NOT_SQLITE),
    "SQLITE_CORRUPT": (ConfigError, DAMAGED),
    "SQLITE_READONLY": (ConfigError, NOT_WRITABLE),
    "SQLITE_CANTOPEN": (ConfigError, NOT_WRITABLE),
    "SQLITE_PERM": (ConfigError, NOT_WRITABLE),
    "SQLITE_FULL": (ConfigError, NOT_WRITABLE),
    "SQLITE_IOERR": (ConfigError, NOT_WRITABLE),
}
"""By the beginning of the error's name. Source: https://www.sqlite.org/rescode.html"""
REFUSALS = ("authentication failed", "no password supplied", "does not exist", "permission denied", "no pg_hba.conf entry")


def explain(error: BaseException, url: URL, is_connecting: bool, is_disconnect: bool) -> SkillyardError | None:
    """Return the error of ours, or None for what only the caller can judge, such as a deadlock."""
    text = " ".join(str(error).split())
    name = getattr(error, "sqlite_errorname", None) or ""
    for prefix, (kind, said) in SQLITE.items():
        if name.startswith(prefix):
            return kind(message(url, said.format(text=text)))
    if is_connecting and any(refusal in text for refusal in REFUSALS):
        return ConfigError(message(url, REFUSED.format(text=text)))
    if is_connecting or is_disconnect:
        return StateUnavailable(message(url, OUT_OF_REACH.format(text=text)))
    return None


def message(url: URL, said: str) -> str:
    """Return a sentence about the state store without the secrets of its URL."""
    shown = url.set(query={}).render_as_string(hide_password=True)
    whole = f"the state store {shown} {said}."
    for secret in (url.password, url.query.get("password")):
        if isinstance(secret, str) and secret:
            whole = whole.replace(secret, "***")
    return whole
