"""Images in an archive that look the same, by their perceptual hashes."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any

from skillyard.documents.visiting import read_members
from skillyard.skills import Source

MAX_PIXELS = 80_000_000
FORMATS = ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP")


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as it is compared."""

    path: str
    bits: int
    """The perceptual hash; of an image of one colour the hash of its bytes."""
    width: int
    height: int


def handle(source: Source, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return every image with its group, and the members that are none."""
    found, skipped = read_members(source.data, source.name, _read)
    images = _grouped(found, parameters["max_distance"])
    n_groups = sum(image["is_canonical"] for image in images)
    return {"images": images, "skipped": skipped, "n_images": len(images), "n_groups": n_groups}


def _read(path: str, data: bytes) -> Picture | str:
    """Return an image as it is compared, or why it is not."""
    import imagehash
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return "too_large"
            grey = image.convert("L")
    except UnidentifiedImageError:
        return "no_image"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return "damaged"
    low, high = grey.getextrema()
    digest = sha256(data).hexdigest()[:16] if high - low < 8 else str(imagehash.phash(grey))
    return Picture(path, int(digest, 16), image.width, image.height)


def _grouped(found: list[Picture], most: int) -> list[dict[str, Any]]:
    """Return the images group by group: each goes to the first canonical image that it looks like, the largest images first."""
    groups: dict[str, list[tuple[int, Picture]]] = {}
    heads: list[Picture] = []
    for picture in sorted(found, key=lambda one: (-one.width * one.height, one.path)):
        near = next(((d, head) for head in heads if (d := (head.bits ^ picture.bits).bit_count()) <= most), None)
        if near is None:
            heads.append(picture)
        distance, head = near or (0, picture)
        groups.setdefault(head.path, []).append((distance, picture))
    return [
        {
            "path": picture.path,
            "cluster_id": head,
            "distance": distance,
            "is_canonical": picture.path == head,
            "width": picture.width,
            "height": picture.height,
        }
        for head in sorted(groups)
        for distance, picture in groups[head]
    ]
