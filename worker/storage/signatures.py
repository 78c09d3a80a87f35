"""What kind of file some first bytes belong to, in words for a person."""

import codecs
from collections.abc import Callable

HEAD_BYTES = 512
"""How many first bytes are enough to tell."""

_MARKS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (8, b"WEBP", "a WebP image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"BM", "a BMP image"),
    (0, b"II*\x00", "a TIFF image"),
    (0, b"MM\x00*", "a TIFF image"),
    (4, b"ftypavif", "an AVIF image"),
    (4, b"ftyphei", "a HEIC image"),
    (4, b"ftypmif1", "a HEIC image"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"\x00\x00\x01\x00", "an icon file"),
    (4, b"ftyp", "a video file"),
    (0, b"\x1aE\xdf\xa3", "a video file"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
)
_MARKUP: tuple[tuple[Callable[[str], bool], str], ...] = (
    (lambda text: "<svg" in text, "an SVG drawing"),
    (lambda text: text.startswith(("<!doctype html", "<html")), "an HTML page"),
)


def describe(head: bytes) -> str:
    """A short phrase such as "a GIF image" or "text, not an image: starts with 'hello'"."""
    for offset, mark, words in _MARKS:
        if head[offset:].startswith(mark):
            return words
    text = _as_text(head[:HEAD_BYTES])
    return "of an unknown type" if text is None else _describe_text(text)


def _as_text(head: bytes) -> str | None:
    try:
        # The head may end in the middle of a character, so the decoder is not told that it is the end.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char.isspace() for char in text) else None


def _describe_text(text: str) -> str:
    opening = text.strip().lower()
    for is_such, words in _MARKUP:
        if is_such(opening):
            return words
    shown = " ".join(text.split())
    return f"text, not an image: starts with {shown[:40]!r}" if shown else "blank text, not an image"
