"""Store references: each source is read once, several at a time, checked, and stored under its hash."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

from worker.core.rules.fault import Fault, UnfitError
from worker.core.rules.models_catalogue import ModelSpec
from worker.intake.manifest import CheckedRequest, LocalFile, Located
from worker.intake.rules.references import RemoteUrl, StoredHash
from worker.storage.fetch.budget import FetchBudget
from worker.storage.fetch.download import AddressPolicy, FetchFailed, FetchLimits, fetch
from worker.storage.images import MAX_REFERENCE_BYTES, BadImage, ImageFacts, inspect_reference
from worker.storage.names import reference_path
from worker.storage.queries.references import ReferenceFacts
from worker.storage.spool import SpoolFolder
from worker.storage.store import Conflicting, Store

_LIMITS = FetchLimits(max_bytes=MAX_REFERENCE_BYTES, total_s=30)


class ReferenceStore:
    """Remembers every source that it has seen, good or bad; without a store it only checks."""

    def __init__(
        self,
        store: Store | None,
        *,
        addresses: AddressPolicy | None = None,
        budget: FetchBudget | None = None,
    ) -> None:
        """Start with nothing; by default only public https addresses are fetched.

        ``budget`` is what all fetches may take together; None: each has its own bounds only.
        """
        self._store = store
        self.spool = SpoolFolder() if store is None else store.spool
        """Where files lie that are needed for a moment."""
        self._addresses = addresses or AddressPolicy.for_references()
        self._budget = budget
        self._begun: dict[Located, Future[ReferenceFacts | UnfitError]] = {}
        self._known: dict[Located, str | UnfitError] = {}
        self.facts: dict[str, ReferenceFacts] = {}

    @property
    def store_identity(self) -> UUID | None:
        """The identity of the store, once something was put into it."""
        return None if self._store is None or not self.facts else self._store.identity

    def begin(self, source: Located, pool: Executor) -> None:
        """Let the pool examine the source, unless that has been done or begun; for one thread, as ``take`` is."""
        if not isinstance(source, StoredHash) and source not in self._known and source not in self._begun:
            self._begun[source] = pool.submit(self._examine, source)

    def take(self, source: Located) -> str:
        """Return the hash of the reference, which is in the store afterwards; raise UnfitError when it is no use.

        A stored hash is taken as it is: whether it is known is checked when the batch is written.
        """
        if isinstance(source, StoredHash):
            return source.sha256
        if source not in self._known:
            self._known[source] = self._kept(self._examined(source))
        found = self._known[source]
        if isinstance(found, UnfitError):
            raise found
        return found

    def take_for(self, spec: ModelSpec, source: Located) -> str:
        """Return the SHA-256 of a reference; raise UnfitError also for one that the model does not accept."""
        sha256 = self.take(source)
        facts = self.facts.get(sha256)
        if facts is not None:
            facts.check_fits(spec)
        return sha256

    def _examined(self, source: LocalFile | RemoteUrl) -> ReferenceFacts | UnfitError:
        begun = self._begun.pop(source, None)
        return self._examine(source) if begun is None else begun.result()

    def _kept(self, found: ReferenceFacts | UnfitError) -> str | UnfitError:
        """Keep the facts when they are taken, so that the last name of the same bytes counts."""
        if isinstance(found, UnfitError):
            return found
        self.facts[found.sha256] = found
        return found.sha256

    def _examine(self, source: LocalFile | RemoteUrl) -> ReferenceFacts | UnfitError:
        try:
            content = self._fetched(source) if isinstance(source, RemoteUrl) else _read(source.path)
            facts = inspect_reference(content)
        except BadImage as error:
            return UnfitError(f"{_name(source)} {error.reason}")
        except UnfitError as error:
            return error
        except FetchFailed as error:
            return UnfitError(f"could not be fetched: {error}")
        if self._store is not None:
            _keep(self._store, content, facts)
        return ReferenceFacts(
            sha256=facts.sha256,
            name=_name(source),
            size_bytes=facts.size_bytes,
            mime_type=facts.mime_type,
            width=facts.width,
            height=facts.height,
        )

    def _fetched(self, source: RemoteUrl) -> bytes:
        limits = _LIMITS if self._budget is None else self._budget.begin(_LIMITS)
        with self.spool.scratch() as folder:
            file = folder / "reference"
            found = fetch(source.url, file, limits=limits, allow=self._addresses)
            if self._budget is not None:
                self._budget.fetched(found.size_bytes)
            return file.read_bytes()


def _keep(store: Store, content: bytes, facts: ImageFacts) -> None:
    path = reference_path(facts.sha256)
    try:
        store.put_new(path, content, content_type=facts.mime_type)
    except Conflicting:
        # The name is the hash of the bytes, so the others are damaged.
        store.replace(path, content, content_type=facts.mime_type)


def _read(path: Path) -> bytes:
    """Read a file that is small enough to be a reference."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_REFERENCE_BYTES + 1)
    except OSError as error:
        raise BadImage(f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_REFERENCE_BYTES:
        raise BadImage(f"has more than the {MAX_REFERENCE_BYTES:,} bytes that are permitted")
    return content


def _name(source: LocalFile | RemoteUrl) -> str:
    if isinstance(source, LocalFile):
        return source.name[:100]
    return unquote(urlsplit(source.url).path).rsplit("/", 1)[-1][:100] or "reference"


AT_ONCE = 4
"""References that are fetched, hashed and decoded at once: each may take 10 MB, and 200 MB for its pixels."""
AHEAD = 64
"""Requests that are read ahead, so that there is always a reference to examine; each may take a megabyte."""


def examined(
    items: Iterable[CheckedRequest | Fault], reference_store: ReferenceStore
) -> Iterator[CheckedRequest | Fault]:
    """Yield the items in order; references are fetched ahead, and ``take`` waits until one is there."""
    waiting: deque[CheckedRequest | Fault] = deque()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reference") as pool:
        try:
            for item in items:
                for reference in item.references if isinstance(item, CheckedRequest) else ():
                    reference_store.begin(reference, pool)
                waiting.append(item)
                if len(waiting) > AHEAD:
                    yield waiting.popleft()
            yield from waiting
        finally:
            # A caller that stops early, such as with Ctrl-C, waits only for what has begun.
            pool.shutdown(cancel_futures=True)
