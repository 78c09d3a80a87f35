"""The picture of a generation: its prompt on a colour of its own, its reference in a corner."""

import hashlib
import io
import secrets
import textwrap
from functools import cache

from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

from ops.sandbox.choices import ResultForm

_MARGIN = 24
_SMALL = 18
_TEXT_SIZES = ((80, 44), (300, 30))
"""Up to so many characters, a text of so many pixels at a width of 1024; a longer one is small."""


def rendered(prompt: str, title: str, size: tuple[int, int], image_format: str, reference: bytes | None) -> bytes:
    """A PNG or JPEG of exactly this size that shows the prompt, the title and the reference."""
    image = Image.new("RGB", size, _colour(title))
    draw = ImageDraw.Draw(image)
    top = _MARGIN
    if reference is not None:
        top += _paste(image, reference, top) + _MARGIN
    bottom = size[1] - _MARGIN - _SMALL
    wanted_px = next((px for length, px in _TEXT_SIZES if len(prompt) <= length), _SMALL + 4)
    text_px = max(_SMALL, wanted_px * size[0] // 1024)
    text = _wrapped(prompt, text_px, size[0] - 2 * _MARGIN, bottom - top - _MARGIN)
    draw.multiline_text((_MARGIN, top), text, fill="white", font=_font(text_px), spacing=text_px // 4)
    draw.text((_MARGIN, bottom), title, fill="white", font=_font(_SMALL))
    return _encoded(image, image_format)


@cache
def plain(size: tuple[int, int], image_format: str) -> bytes:
    """An empty image of this size; the same bytes each time."""
    return _encoded(Image.new("RGB", size, (90, 110, 140)), image_format)


def _paste(image: Image.Image, reference: bytes, top: int) -> int:
    side = min(image.size) // 2
    try:
        with Image.open(io.BytesIO(reference)) as opened:
            opened.draft("RGB", (side, side))
            small = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        small = Image.new("RGB", (side, side), "black")
    small = ImageOps.contain(small, (side, side), Image.Resampling.BILINEAR)
    image.paste(small, (_MARGIN, top))
    return small.height


def _colour(title: str) -> tuple[int, int, int]:
    red, green, blue = hashlib.sha256(title.encode()).digest()[:3]
    return red // 2 + 20, green // 2 + 20, blue // 2 + 20


def _wrapped(prompt: str, text_px: int, width: int, height: int) -> str:
    # A lone surrogate is legal in JSON and cannot be drawn.
    readable = prompt.encode("utf-8", "replace").decode("utf-8")
    columns, lines = max(10, int(width / (text_px * 0.55))), max(1, height * 3 // (text_px * 4))
    return "\n".join(textwrap.wrap(readable, columns, max_lines=lines, placeholder=" ..."))


@cache
def _font(text_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(text_px)


def _encoded(image: Image.Image, image_format: str) -> bytes:
    buffer = io.BytesIO()
    if image_format == "png":
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


_SIMPLE = {
    ResultForm.PNG: "PNG",
    ResultForm.JPEG: "JPEG",
    ResultForm.WEBP: "WEBP",
    ResultForm.GIF: "GIF",
    ResultForm.BMP: "BMP",
    ResultForm.AVIF: "AVIF",
    ResultForm.TIFF: "TIFF",
    ResultForm.JPEG2000: "JPEG2000",
    ResultForm.QOI: "QOI",
}
_ANIMATED = {ResultForm.APNG: "PNG", ResultForm.ANIMATED_GIF: "GIF", ResultForm.ANIMATED_WEBP: "WEBP"}
_TEXTS = {
    ResultForm.HTML: b"<!doctype html><title>Please wait</title><p>Your image is on its way.",
    ResultForm.SVG: b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>',
    ResultForm.PDF: b"%PDF-1.7\n%%EOF\n",
}


def in_form(data: bytes, form: ResultForm) -> bytes:
    """The picture in another form; the same bytes each time, but for ``random``."""
    if form is ResultForm.RANDOM:
        return secrets.token_bytes(512)
    if form is ResultForm.CUT_OFF:
        return data[: len(data) // 2]
    if form in _TEXTS:
        return _TEXTS[form]
    with Image.open(io.BytesIO(data)) as image:
        return _saved(image.convert("RGB"), form)


def _saved(image: Image.Image, form: ResultForm) -> bytes:
    buffer = io.BytesIO()
    if form in _ANIMATED:
        second = Image.eval(image, lambda value: 255 - value)
        image.save(buffer, _ANIMATED[form], save_all=True, append_images=[second], duration=100)
    else:
        image.save(buffer, _SIMPLE[form])
    return buffer.getvalue()
