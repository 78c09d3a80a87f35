"""A manifest becomes rows, and rows become checked requests, one at a time and in bounded memory."""

from worker.intake.manifest.checked import CheckedRequest, checked
from worker.intake.manifest.lines import Row
from worker.intake.manifest.reader import read
from worker.intake.manifest.references import LocalFile, Located, resolve_references
from worker.intake.manifest.source import Form, ManifestError

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
