"""Under which names images lie in the store."""

from uuid import UUID

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
"""By what an image is, not by what was asked for."""


def reference_path(sha256: str) -> str:
    """Name a reference by its bytes, so that it is stored once and any node can find it."""
    return f"references/{sha256}"


def result_path(batch_id: UUID, key: str, mime_type: str) -> str:
    """Name a result by its batch and the caller's key, which is fit to be a file name."""
    return f"{batch_id}/{key}.{EXTENSIONS[mime_type]}"


def twin_path(batch_id: UUID, key: str, mime_type: str, sha256: str) -> str:
    """Name a result whose plain name is taken by other bytes, which are never overwritten."""
    return f"{batch_id}/{key}~{sha256[:12]}.{EXTENSIONS[mime_type]}"
