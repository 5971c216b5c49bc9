"""The line in ``.env.example`` that makes the secrets really makes them, and nobody can commit the result."""

import base64
import re
import shutil
import subprocess
from pathlib import Path

from tests.deploy.stack import ENV_EXAMPLE, ROOT, example_values


def test_the_command_in_the_example_fills_in_every_secret(tmp_path: Path) -> None:
    command = re.search(r"(?m)^#\s+(\(umask .*)$", ENV_EXAMPLE)
    assert command
    shutil.copy(ROOT / ".env.example", tmp_path)
    subprocess.run(["sh", "-ec", command[1]], cwd=tmp_path, check=True)
    made = tmp_path / ".env"
    values = dict(re.findall(r"(?m)^(\w+)=(.*)$", made.read_text()))
    secrets = {name: values[name] for name, value in example_values().items() if not value}
    assert all(re.fullmatch(r"[\w=-]{40,}", value) for value in secrets.values()), "safe inside a URL and a JSON text"
    assert len(set(secrets.values())) == len(secrets)
    assert len(base64.urlsafe_b64decode(secrets["AIRFLOW_FERNET_KEY"])) == 32
    assert made.stat().st_mode & 0o077 == 0


def test_git_ignores_the_real_file() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
