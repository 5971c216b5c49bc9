"""Makes the archives of the cases of find-duplicate-images again: ``python samples/case_files/find_duplicate_images.py``."""

import io
import zipfile
from pathlib import Path

from PIL import Image, ImageDraw

FILES = Path(__file__).resolve().parents[2] / "include" / "skills" / "find-duplicate-images" / "evals" / "files"
THEN = (2026, 3, 2, 12, 0, 0)


def scene(number: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Return one of three pictures that nobody takes for each other."""
    image = Image.new("RGB", (160, 120), "#dfe7ee")
    draw = ImageDraw.Draw(image)
    if number == 0:
        draw.ellipse((20, 20, 100, 100), "#c23b2e")
        draw.rectangle((110, 60, 150, 115), "#23405f")
    elif number == 1:
        for x in range(0, 160, 20):
            draw.rectangle((x, 0, x + 9, 120), "#2f6d3a")
    else:
        draw.polygon([(10, 110), (80, 10), (150, 110)], "#8a5a33")
        draw.ellipse((60, 70, 100, 110), "#f6d743")
    return image.resize(size)


def encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    """Return an image's bytes."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def archive(name: str, members: dict[str, bytes]) -> None:
    """Write a ZIP of one time."""
    with zipfile.ZipFile(FILES / name, "w", zipfile.ZIP_DEFLATED) as file:
        for path, data in members.items():
            file.writestr(zipfile.ZipInfo(path, THEN), data)


if __name__ == "__main__":
    red, green, brown = (scene(number) for number in range(3))
    archive(
        "copies.zip",
        {
            "a/red.png": encoded(red, "png"),
            "b/red-small.jpg": encoded(scene(0, (80, 60)), "jpeg", quality=70),
            "green.png": encoded(green, "png"),
        },
    )
    archive(
        "bilder.zip",
        {"Straße/grün.png": encoded(green, "png"), "Straße/grün Kopie.png": encoded(green, "png"), "Übersicht.txt": b"Liste"},
    )
    archive("turned.zip", {"up.png": encoded(brown, "png"), "turned.png": encoded(brown.rotate(90, expand=True), "png")})
    archive(
        "plain.zip",
        {
            "white.png": encoded(Image.new("L", (40, 40), 255), "png"),
            "grey.png": encoded(Image.new("L", (40, 40), 128), "png"),
            "white-copy.png": encoded(Image.new("L", (40, 40), 255), "png"),
        },
    )
    archive("no-images.zip", {"note.txt": b"There is no picture here.", "cut.png": encoded(red, "png")[:60]})
