"""The same store in a local folder and on S3: every test that takes ``storage`` runs on both."""

from pathlib import Path
from uuid import uuid4

import pytest

from skillyard.storage import Storage, open_storage


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty store."""
    if request.param == "local":
        return open_storage(str(tmp_path / "a folder"))
    return open_storage(f"s3://{request.getfixturevalue('s3').bucket}/{uuid4().hex}")
