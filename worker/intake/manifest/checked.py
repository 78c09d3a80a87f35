"""Check manifest rows: the one validation of all ingestion interfaces, references included."""

import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from worker.core.rules.fault import Fault, UnfitError, quoted
from worker.intake.manifest.reader import Row
from worker.intake.rules.references import LocalPath, RemoteUrl, StoredHash, column, reference_source
from worker.intake.rules.request import JobRequest, Keys, validate


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A regular file that was there when it was looked for; its bytes are not read yet."""

    path: Path
    name: str = field(compare=False)
    """As its owner calls it."""


Files = Path | Mapping[str, Path] | None
"""Where paths lead: from a folder, to files by these names and no others, or nowhere."""


Located = LocalFile | RemoteUrl | StoredHash
"""Where the bytes of a checked reference are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedRequest:
    """A request within every limit, its key new in the batch, and where its references are."""

    request: JobRequest
    references: tuple[Located, ...]


def checked(
    rows: Iterable[Row | Fault], *, base: Files, extra: Collection[str] = frozenset()
) -> Iterator[CheckedRequest | Fault]:
    """Yield every valid request and every fault, in order; a line with several faults yields each.

    ``base`` is the folder that paths are relative to, or the files that came with the requests; None where no path is
    permitted. The bytes of a reference are not read. Columns in ``extra`` are metadata although they look like others.
    """
    keys = Keys()
    for row in rows:
        if isinstance(row, Fault):
            yield row
        else:
            yield from _checked_row(row, keys, base, extra)


def _checked_row(row: Row, keys: Keys, base: Files, extra: Collection[str]) -> Iterator[CheckedRequest | Fault]:
    request = validate(row.raw, row.line, extra=extra)
    if isinstance(request, tuple):
        yield from request
        return
    twice = keys.add(request.key, request.line)
    found = resolve_references(request, base)
    faults = [each for each in (twice, *found) if isinstance(each, Fault)]
    yield from faults
    if not faults:
        references = tuple(each for each in found if not isinstance(each, Fault))
        yield CheckedRequest(request=request, references=references)


_REMOTE_ONLY = ("https://...", "sha256:<64 hex digits> of a stored reference")


def resolve_references(request: JobRequest, base: Files) -> tuple[Located | Fault, ...]:
    """Where each of the request's references is, in their order, or what is wrong with it.

    A path is taken relative to ``base``, the manifest's folder, and may lead out of it: the files are the
    user's own. With ``base`` None, as for every interface but the command line, a path is a fault: a message from
    elsewhere must not make a worker read its own files. With a mapping it names a file that was sent with the requests.
    """
    return tuple(_located(request, place, base) for place in range(len(request.references)))


def _located(request: JobRequest, place: int, base: Files) -> Located | Fault:
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


def _local(source: LocalPath, base: Files) -> LocalFile:
    if base is None:
        raise UnfitError("a path is not permitted here: the caller's files cannot be read", _REMOTE_ONLY)
    if isinstance(base, Mapping):
        if source.text not in base:
            raise UnfitError(f"no file with the name {quoted(source.text)} was sent with the requests", _REMOTE_ONLY)
        return LocalFile(base[source.text], source.text)
    path = base / source.text
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise UnfitError(f"there is no file {quoted(source.text)}; looked for it at {path}") from error
    except OSError as error:
        raise UnfitError(f"cannot be looked at: {error.strerror or error}") from error
    if not stat.S_ISREG(mode):
        raise UnfitError(f"{quoted(source.text)} is not a file but a folder or a device")
    return LocalFile(path.resolve(), path.name)
