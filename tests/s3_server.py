"""A real S3 endpoint over HTTP for the whole session: moto's server with its authentication switched on.

Wrong secrets are refused, ``If-None-Match`` and ``If-Match`` work. List ``tests.s3_server`` in ``pytest_plugins`` and use the fixture
``s3_server``; ``s3`` also points the ``AWS_*`` variables of this test to it.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import boto3
import pytest

BUCKET = "skillyard-test"
POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "sqs:*"], "Resource": "*"}]}'
START_S = 30


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where it is and who may use it."""

    endpoint: str
    key: str
    secret: str
    bucket: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point a process to it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One server process with one bucket, a user and a key."""
    port = _free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, str(Path(__file__).with_name("s3_process.py")), "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "1000000"})
        try:
            _await(endpoint, process)
            yield _switch_on_authentication(endpoint)
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, with this test's ``AWS_*`` variables pointing to it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server


def _switch_on_authentication(endpoint: str) -> S3Server:
    """Make the bucket, a user with a policy and a key, then let nobody else in."""
    session = boto3.session.Session(aws_access_key_id="setup", aws_secret_access_key="setup", region_name="us-east-1")
    session.client("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
    iam = session.client("iam", endpoint_url=endpoint)
    iam.create_user(UserName="skillyard")
    iam.put_user_policy(UserName="skillyard", PolicyName="s3", PolicyDocument=POLICY)
    key = iam.create_access_key(UserName="skillyard")["AccessKey"]
    request = Request(f"{endpoint}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}, method="POST")
    with urlopen(request) as answer:
        answer.read()
    return S3Server(endpoint, key["AccessKeyId"], key["SecretAccessKey"], BUCKET)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _await(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"{endpoint}/moto-api/data.json", timeout=2) as answer:
                answer.read()
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise RuntimeError(f"moto_server did not answer at {endpoint} within {START_S} s (exit code {process.poll()}).")
