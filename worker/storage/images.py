"""Whether bytes are an image that may be sent or kept: type by content, size, pixels, readable to the end."""

import hashlib
import stat
import struct
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from worker.storage.signatures import HEAD_BYTES, describe

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
    """The facts of an image that came back, whatever its form; raises BadImage when it is not whole or not one."""
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
            raise BadImage(f"is damaged or cut off: frame {number + 1} of {frames}: {error}") from error


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
        raise BadImage(f"is damaged or cut off: {error}") from error


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
