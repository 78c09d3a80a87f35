"""Which code printed a report: the version of the package, and a hash over the sources that reports are made by."""

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_PARTS = ("audit/**", "core/**", "**/queries", "**/rules")
"""Rules, queries and the reports above them; a test holds that these are all that reports import."""


def version() -> str:
    """Return the version of the installed package."""
    try:
        return metadata.version("darkroom")
    except metadata.PackageNotFoundError:
        return "not installed"


def sources() -> list[Path]:
    """Return every module that decides what a report says, in the order of their paths."""
    return sorted({path for part in _PARTS for path in _PACKAGE.glob(f"{part}/*.py")})


@cache
def sources_sha256() -> str:
    """Hash name and content of every module that decides what a report says; equal on every machine."""
    digest = hashlib.sha256()
    for path in sources():
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(_PACKAGE).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
