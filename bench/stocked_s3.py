"""An S3 (moto's server) with small documents in it from the start: over HTTP it would take longer to fill than to read."""

import random
import sys

BUCKETS = ("inbox", "lake")
ACCOUNT = "123456789012"
WORDS = (  # noqa: SIM905
    "harbour boat berth ticket office north cargo engine weather signal crew number pilot captain storm tide ferry letter invoice customer "
    "order delivery refund password contract party notice period payment amount date signature clause price service quality report meeting "
    "minutes decision budget team project risk owner deadline plan question answer summary table figure section page document archive"
).split()
N_FOLDERS = 100


def text_of(number: int, version: int = 0) -> bytes:
    """Return a document of one to two kilobytes, the same for the same numbers."""
    words = random.Random(number * 1000 + version).choices(WORDS, k=random.Random(number).randint(160, 300))
    return f"Letter {number}, version {version}. {' '.join(words)}.".encode()


def key_of(number: int) -> str:
    """Return where a document lies."""
    return f"mail/{number % N_FOLDERS:02}/{number:06}.txt"


def serve(port: str, n_documents: int) -> None:
    """Fill the buckets and serve until the process is ended."""
    from moto.backends import get_backend
    from moto.server import main

    store = get_backend("s3")[ACCOUNT]["aws"]
    for bucket in BUCKETS:
        store.create_bucket(bucket, "us-east-1")
    for number in range(n_documents):
        store.put_object(BUCKETS[0], key_of(number), text_of(number))
    main(["-H", "127.0.0.1", "-p", port])


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
