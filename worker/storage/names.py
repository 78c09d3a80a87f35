"""Names of images in the store, and the marker file that identifies a store."""

import json
from collections.abc import Iterator
from uuid import UUID, uuid4

EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/bmp": "bmp",
    "image/avif": "avif",
    "image/tiff": "tiff",
    "image/jp2": "jp2",
    "image/qoi": "qoi",
}
"""By what an image is, not by what was asked for."""


def reference_path(sha256: str) -> str:
    """Name a reference by its bytes, so that it is stored once and any node can find it."""
    return f"references/{sha256}"


def image_name(key: str, mime_type: str) -> str:
    """Name an image by the caller's key, which is unique in its batch and fit to be a file name."""
    return f"{key}.{EXTENSIONS[mime_type]}"


def result_path(batch_id: UUID, key: str, mime_type: str) -> str:
    """Name a result by its batch and the caller's key."""
    return f"{batch_id}/{image_name(key, mime_type)}"


def result_paths(batch_id: UUID, key: str, mime_type: str, sha256: str, generation_id: UUID) -> Iterator[str]:
    """Name a result, in the order of preference: the next name is for when other bytes have the one before."""
    yield result_path(batch_id, key, mime_type)
    yield f"{batch_id}/{key}~{sha256[:12]}.{EXTENSIONS[mime_type]}"
    yield f"{batch_id}/{key}~{generation_id}.{EXTENSIONS[mime_type]}"


def unreadable_path(batch_id: UUID, key: str, sha256: str) -> str:
    """Return the path of a paid file that is not a readable image, kept for a person to inspect."""
    return f"{batch_id}/{key}~{sha256[:12]}.bin"


MARKER = ".darkroom-store"
"""Its name below the store."""
_FORMAT = 1


class MarkerFaulty(Exception):
    """The file is there and cannot be used; the text says why and what to do."""


def new() -> bytes:
    """Return the content of a file with a new identity."""
    return json.dumps({"format": _FORMAT, "id": str(uuid4())}).encode() + b"\n"


def parse(content: bytes) -> UUID:
    """Return the identity; raises MarkerFaulty."""
    try:
        found = json.loads(content)
        version, identity = found["format"], UUID(found["id"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise MarkerFaulty(f"{MARKER} is damaged: put it back, or remove it and adopt the store") from None
    if version != _FORMAT:
        raise MarkerFaulty(f"{MARKER} has the format {version}: upgrade Darkroom")
    return identity
