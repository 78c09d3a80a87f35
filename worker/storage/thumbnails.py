"""Thumbnails: images made small, and the places in the store where each is kept once."""

import io

from PIL import Image

from worker.storage.images import RESULT_FORMATS
from worker.storage.spool import Conflicting, NotStored
from worker.storage.store import Store

LONGEST = 288
"""Longest side of a thumbnail in pixels."""
MIME_TYPE = "image/jpeg"
_QUALITY = 78


def made(data: bytes, longest: int = LONGEST) -> bytes | None:
    """Return the image made small, as JPEG; None when it cannot be read."""
    try:
        with Image.open(io.BytesIO(data), formats=RESULT_FORMATS) as image:
            # JPEG can be decoded at a fraction of its size, which saves most of the time.
            image.draft("RGB", (longest, longest))
            image.thumbnail((longest, longest), Image.Resampling.BILINEAR, reducing_gap=2.0)
            buffer = io.BytesIO()
            _opaque(image).save(buffer, "JPEG", quality=_QUALITY)
            return buffer.getvalue()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")


def path_of(sha256: str) -> str:
    """Name the thumbnail of the image with these bytes; the same bytes have one thumbnail."""
    return f"thumbnails/{sha256[:2]}/{sha256}-{LONGEST}.jpg"


def kept(store: Store, path: str, sha256: str) -> bytes | None:
    """Return the thumbnail of an image in the store, made and kept there at the first request.

    None when the image cannot be read. Raises NotStored and StoreUnavailable.
    """
    name = path_of(sha256)
    try:
        return store.read(name)
    except NotStored:
        small = made(store.read(path))
    if small is not None:
        try:
            store.put_new(name, small, content_type=MIME_TYPE)
        except Conflicting:
            # Another process made it at the same time, with another version of the codec.
            return store.read(name)
    return small
