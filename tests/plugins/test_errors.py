"""What an engine's error does to an Airflow task."""

from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

from skillyard.errors import MissingKey, RunLocked, StorageError
from skillyard_airflow.errors import engine


def test_a_terminal_error_fails_the_task_without_a_retry() -> None:
    with pytest.raises(AirflowFailException, match="MissingKey: deployment 'gpt-5-nano' needs OPENAI_API_KEY") as caught, engine():
        raise MissingKey("OPENAI_API_KEY", "gpt-5-nano")
    assert isinstance(caught.value.__cause__, MissingKey)


@pytest.mark.parametrize("error", [StorageError("the store is down"), RunLocked("another run is at work"), ValueError("not ours")])
def test_any_other_error_is_left_to_the_retries(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, engine():
        raise error
    assert caught.value is error


def test_settings_that_are_wrong_fail_the_task_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLYARD_STATE", "no-url")
    with pytest.raises(AirflowFailException, match="SKILLYARD_STATE"), engine():
        pass


def test_the_settings_of_the_environment_are_lent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SKILLYARD_LAKE", str(tmp_path))
    with engine() as settings:
        assert settings.lake == tmp_path.as_uri()
