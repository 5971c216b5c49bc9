"""An S3 (moto's server) with small documents in it from the start: over HTTP it would take longer to fill than to read.

Of moto's own it replaces one thing: the listing of a bucket. moto sorts all keys for every thousand it lists, so that a hundred thousand
take minutes; S3 keeps them sorted, and so does this.
"""

import random
import sys
from bisect import bisect_right
from typing import Any
from xml.sax.saxutils import escape

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


class Listing:
    """The keys of the inbox, sorted once: it gets no new ones, only other bytes."""

    def __init__(self, bucket: Any) -> None:
        self._bucket, self._names = bucket, sorted(bucket.keys)

    def page(self, prefix: str, after: str) -> str:
        """Return the next thousand keys as S3 does."""
        start = bisect_right(self._names, after) if after else bisect_right(self._names, prefix)
        names = self._names[start : start + 1000]
        is_truncated = start + 1000 < len(self._names)
        entries = "".join(self._entry(self._bucket.keys[name]) for name in names if name.startswith(prefix))
        token = f"<NextContinuationToken>{escape(names[-1])}</NextContinuationToken>" if is_truncated else ""
        said = f"<IsTruncated>{str(is_truncated).lower()}</IsTruncated><KeyCount>{len(names)}</KeyCount>{token}{entries}"
        return f'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{said}</ListBucketResult>'

    def _entry(self, key: Any) -> str:
        said = f"<LastModified>{key.last_modified_ISO8601}</LastModified><ETag>{escape(key.etag)}</ETag><Size>{key.size}</Size>"
        return f"<Contents><Key>{escape(key.name)}</Key>{said}<StorageClass>STANDARD</StorageClass></Contents>"


def list_fast(listing: Listing) -> None:
    """Have moto answer listings of the inbox from the sorted keys, after its own authentication."""
    from moto.s3.responses import S3Response

    ordinary = S3Response.list_objects_v2

    def list_objects_v2(self: Any) -> Any:
        asked = {name: values[0] for name, values in self.querystring.items()}
        if self.bucket_name != BUCKETS[0] or "delimiter" in asked:
            return ordinary(self)
        return 200, {"Content-Type": "application/xml"}, listing.page(asked.get("prefix", ""), asked.get("continuation-token", ""))

    S3Response.list_objects_v2 = list_objects_v2


def serve(port: str, n_documents: int) -> None:
    """Fill the buckets and serve until the process is ended."""
    from moto.backends import get_backend
    from moto.server import main

    store = get_backend("s3")[ACCOUNT]["aws"]
    for bucket in BUCKETS:
        store.create_bucket(bucket, "us-east-1")
    for number in range(n_documents):
        store.put_object(BUCKETS[0], key_of(number), text_of(number))
    list_fast(Listing(store.buckets[BUCKETS[0]]))
    main(["-H", "127.0.0.1", "-p", port])


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
