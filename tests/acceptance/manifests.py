"""Requests in numbers: every image size, both formats, and references that several lines share."""

from pathlib import Path

from tests.fixtures import pictures
from worker.core.rules.models_catalogue import PIXELS

SIZES = tuple(PIXELS)
FORMATS = ("png", "jpeg")


def plain(count: int) -> list[dict[str, object]]:
    """Return requests without references."""
    return [
        {
            "key": f"image-{number:04d}",
            "prompt": f"A vase, number {number}",
            "image_size": SIZES[number % len(SIZES)],
            "output_format": FORMATS[number // len(SIZES) % len(FORMATS)],
        }
        for number in range(count)
    ]


def with_references(count: int, folder: Path, *, references: int) -> list[dict[str, object]]:
    """Return requests that share so many references, which lie in the folder."""
    names = [f"reference-{number}.png" for number in range(references)]
    for shade, name in enumerate(names):
        pictures.reference(folder, name, shade=shade)
    return [request | {"reference": names[number % references]} for number, request in enumerate(plain(count))]
