"""What an error of the engine means to Airflow: the one place where that is decided."""

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from skillyard.errors import SkillyardError, Terminal
from skillyard.settings import Settings


@contextmanager
def engine() -> Iterator[Settings]:
    """Lend the settings to a call of the engine. A Terminal error fails the task at once; any other is left to its retries."""
    try:
        yield Settings.from_env()
    except SkillyardError as error:
        if isinstance(error, Terminal):
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        raise
