"""A manifest becomes rows, and rows become checked requests, one at a time and in bounded memory."""

from worker.manifest.checked import CheckedRequest, checked
from worker.manifest.lines import Row
from worker.manifest.reader import read
from worker.manifest.references import LocalFile, Located, resolve_references
from worker.manifest.source import Form, ManifestError

__all__ = [
    "CheckedRequest",
    "Form",
    "LocalFile",
    "Located",
    "ManifestError",
    "Row",
    "checked",
    "read",
    "resolve_references",
]
