"""Check images: type by content, size, pixels, readable to the end; name what other files are."""

import codecs
import hashlib
import re
import stat
import struct
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

MAX_REFERENCE_BYTES = 30_000_000
"""As much as any model takes; what one model takes is checked beside its request."""
"""The provider says "10 MB"; this is the smaller of the two things that can mean."""
MAX_RESULT_BYTES = 64_000_000
MAX_PIXELS = 50_000_000
MAX_FRAMES = 500
"""Of an animation, or of a file with pages, so many are decoded; more of them are kept unseen."""
MAX_ANIMATED_PIXELS = 10 * MAX_PIXELS
"""Pixels of all its frames that are decoded."""
MAX_DECODING_S = 20.0
"""CPU time after which no further frame is decoded: far below the lease of a collect step."""
# A phone's JPEG with a preview behind the picture is "MPO" to Pillow and a plain JPEG to everyone else.
_MIME_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "DIB": "image/bmp",
    "AVIF": "image/avif",
    "TIFF": "image/tiff",
    "JPEG2000": "image/jp2",
    "QOI": "image/qoi",
}
RESULT_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "TIFF", "JPEG2000", "QOI")
"""What is kept when it has been paid for, in Pillow's words."""
_REFERENCE_FORMATS = ("JPEG", "PNG", "WEBP")
# Process-wide and at import, because catch_warnings() around a call is not safe between threads.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
# What Pillow's decoders raise for damaged files; DecompressionBombError is separate from all of them.
_DAMAGE = (
    RuntimeError,
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    zlib.error,
)
_QUOTE = re.compile(r"['\"]")


class BadImage(Exception):
    """An image that cannot be used; ``reason`` is a phrase that follows the file's name."""

    def __init__(self, reason: str) -> None:
        """Keep the reason, such as "is empty"."""
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What an image is: lower-case hex SHA-256 of its bytes, type by content, size in bytes and in pixels."""

    sha256: str
    mime_type: str
    size_bytes: int
    width: int
    height: int
    frames: int = 1
    """More than one when it is animated, or has several pages."""


def inspect_reference(source: Path | bytes) -> ImageFacts:
    """The facts of an image that may be uploaded as a reference; raises BadImage."""
    return _inspect(source, max_bytes=MAX_REFERENCE_BYTES, formats=_REFERENCE_FORMATS)


def inspect_result(source: Path | bytes) -> ImageFacts:
    """Return the facts of a downloaded image of any format; raises BadImage for one that is truncated or no image."""
    return _inspect(source, max_bytes=MAX_RESULT_BYTES, formats=RESULT_FORMATS)


def _inspect(source: Path | bytes, *, max_bytes: int, formats: tuple[str, ...]) -> ImageFacts:
    content = source if isinstance(source, bytes) else _content(source, max_bytes)
    _check_size(len(content), max_bytes)
    with _explained(content, formats):
        with _opened(content, formats) as image:
            _check_pixels(image)
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            if frames > 1 and formats is _REFERENCE_FORMATS:
                raise BadImage("is animated; only still images are permitted")
            image.verify()
        # Pillow cannot read the pixels of an image after verify(), so it is opened again.
        with _opened(content, formats) as image:
            image.load()
            facts = ImageFacts(
                sha256=hashlib.sha256(content).hexdigest(),
                mime_type=_MIME_TYPES[str(image.format)],
                size_bytes=len(content),
                width=image.width,
                height=image.height,
                frames=frames,
            )
            _check_frames(image, frames)
            return facts


def _check_frames(image: Image.Image, frames: int) -> None:
    """Decode every frame after the first, within bounds: a few bytes can stand for hours of work."""
    pixels, ends_at = 0, time.thread_time() + MAX_DECODING_S
    for number in range(1, min(frames, MAX_FRAMES)):
        if time.thread_time() > ends_at:
            return
        try:
            image.seek(number)
            pixels += image.width * image.height
            if pixels > MAX_ANIMATED_PIXELS:
                return
            _check_pixels(image)
            image.load()
        except _DAMAGE as error:
            raise BadImage(f"is damaged or cut off: frame {number + 1} of {frames}{_damage(error)}") from error


def _content(path: Path, max_bytes: int) -> bytes:
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise BadImage("is not a file")
        _check_size(facts.st_size, max_bytes)
        return path.read_bytes()
    except FileNotFoundError:
        raise BadImage("does not exist") from None
    except OSError as error:
        raise BadImage(f"cannot be read: {error.strerror}") from error


def _check_size(size_bytes: int, max_bytes: int) -> None:
    if size_bytes == 0:
        raise BadImage("is empty")
    if size_bytes > max_bytes:
        raise BadImage(f"has {size_bytes:,} bytes; at most {max_bytes:,} are permitted")


@contextmanager
def _explained(content: bytes, formats: tuple[str, ...]) -> Iterator[None]:
    """Raise BadImage in the place of whatever Pillow raises."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage(f"has more than {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise BadImage(_why_unidentified(content, formats)) from None
    except _DAMAGE as error:
        raise BadImage(f"is damaged or cut off{_damage(error)}") from error


def _damage(error: Exception) -> str:
    """Return what Pillow says, unless it quotes the file: a reference may be a file that was named by mistake."""
    said = str(error)
    return "" if _QUOTE.search(said) else f": {said}"


def _opened(content: bytes, formats: tuple[str, ...]) -> Image.Image:
    return Image.open(BytesIO(content), formats=formats)


def _check_pixels(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise BadImage(f"has {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} in all are permitted")


def _why_unidentified(content: bytes, formats: tuple[str, ...]) -> str:
    words = describe(content[:HEAD_BYTES])
    if words in {f"a {name} image" for name in ("JPEG", "PNG", "WebP")}:
        return f"is damaged or cut off: it begins like {words} and cannot be read as one"
    if formats is _REFERENCE_FORMATS:
        return f"is {words}; permitted are JPEG, PNG and WebP images"
    return f"is {words}, or damaged: it cannot be read as an image"


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
    """A short phrase such as "a GIF image" or "text, not an image"; it quotes nothing of the content."""
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
    return "text, not an image" if opening else "blank text, not an image"
