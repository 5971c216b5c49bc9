"""The same lake in a local folder and on S3: every test that takes ``lake`` runs on both."""

from pathlib import Path
from uuid import uuid4

import pytest

from skillyard.lake.lake import Lake


@pytest.fixture(params=["local", "s3"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """An empty lake."""
    if request.param == "local":
        return Lake(str(tmp_path / "lake"))
    return Lake(f"s3://{request.getfixturevalue('s3').bucket}/{uuid4().hex}")


@pytest.fixture
def local_lake(tmp_path: Path) -> Lake:
    """An empty lake in a folder, for what does not depend on the store."""
    return Lake(str(tmp_path / "lake"))
