"""moto's server with conditional writes that are atomic, as those of S3 are: moto looks and then writes, with no lock around both."""

import sys
from collections.abc import Callable
from threading import Lock
from typing import Any

from moto.s3.responses import S3Response
from moto.server import main

_LOCK = Lock()


def alone(handle: Callable[..., Any]) -> Callable[..., Any]:
    """Return the handler, one request at a time."""

    def handle_alone(*arguments: Any, **named: Any) -> Any:
        with _LOCK:
            return handle(*arguments, **named)

    return handle_alone


if __name__ == "__main__":
    for name in ("put_object", "delete_object"):
        setattr(S3Response, name, alone(getattr(S3Response, name)))
    main(sys.argv[1:])
