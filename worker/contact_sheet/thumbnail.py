"""A thumbnail is a small JPEG inside the page, as a data address."""

import base64
import io

from PIL import Image

from worker.storage.images import RESULT_FORMATS

LONGEST = 288
"""Longest side of a thumbnail in pixels."""
_QUALITY = 78


def thumbnail(data: bytes | None, longest: int = LONGEST) -> str | None:
    """The image made small, as a ``data:`` address; None when there is none or it cannot be read."""
    if not data:
        return None
    try:
        with Image.open(io.BytesIO(data), formats=RESULT_FORMATS) as image:
            return _address(image, longest)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _address(image: Image.Image, longest: int) -> str:
    # JPEG can be decoded at a fraction of its size, which saves most of the time.
    image.draft("RGB", (longest, longest))
    image.thumbnail((longest, longest), Image.Resampling.BILINEAR, reducing_gap=2.0)
    buffer = io.BytesIO()
    _opaque(image).save(buffer, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
