"""A reference resolves to a file that is there, an https address, or the hash of one already stored."""

import stat
from dataclasses import dataclass
from pathlib import Path

from worker.core.rules.fault import Fault, UnfitError, quoted
from worker.intake.rules.reference_names import column
from worker.intake.rules.reference_source import LocalPath, RemoteUrl, StoredHash, reference_source
from worker.intake.rules.request import JobRequest


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A regular file that was there when it was looked for; its bytes are not read yet."""

    path: Path


Located = LocalFile | RemoteUrl | StoredHash
"""Where the bytes of a checked reference are."""

_REMOTE_ONLY = ("https://...", "sha256:<64 hex digits> of a stored reference")


def resolve_references(request: JobRequest, base: Path | None) -> tuple[Located | Fault, ...]:
    """Where each of the request's references is, in their order, or what is wrong with it.

    A path is taken relative to ``base``, the manifest's folder, and may lead out of it: the files are the
    user's own. With ``base`` None, as for every interface but the command line, a path is a fault: a message from
    elsewhere must not make a worker read its own files.
    """
    return tuple(_located(request, place, base) for place in range(len(request.references)))


def _located(request: JobRequest, place: int, base: Path | None) -> Located | Fault:
    try:
        source = reference_source(request.references[place])
        return _local(source, base) if isinstance(source, LocalPath) else source
    except UnfitError as unfit:
        return Fault(
            line=request.line,
            key=request.key,
            field=column(place),
            reason=unfit.reason,
            permitted=unfit.permitted,
        )


def _local(source: LocalPath, base: Path | None) -> LocalFile:
    if base is None:
        raise UnfitError("a path means nothing here: no file of the caller can be read", _REMOTE_ONLY)
    path = base / source.text
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise UnfitError(f"there is no file {quoted(source.text)}; looked for it at {path}") from error
    except OSError as error:
        raise UnfitError(f"cannot be looked at: {error.strerror or error}") from error
    if not stat.S_ISREG(mode):
        raise UnfitError(f"{quoted(source.text)} is not a file but a folder or a device")
    return LocalFile(path.resolve())
