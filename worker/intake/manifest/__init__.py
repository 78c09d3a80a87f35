"""A manifest becomes rows, and rows become checked requests, one at a time and in bounded memory."""

from worker.intake.manifest.checked import CheckedRequest, Files, LocalFile, Located, checked, resolve_references
from worker.intake.manifest.reader import Row, decode_json, numbered, read
from worker.intake.manifest.source import Form, ManifestError

__all__ = [
    "CheckedRequest",
    "Files",
    "Form",
    "LocalFile",
    "Located",
    "ManifestError",
    "Row",
    "checked",
    "decode_json",
    "numbered",
    "read",
    "resolve_references",
]
