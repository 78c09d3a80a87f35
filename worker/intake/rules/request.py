"""A request is one validated manifest line, checked the same way for every ingestion interface."""

import hashlib
import re
import unicodedata
from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

from worker.core.rules.batch_request import BatchRequest, Priority, Purpose, validate_batch
from worker.core.rules.fault import Fault, UnfitError, not_known, quoted
from worker.core.rules.models_catalogue import DEFAULT_MODEL, MODELS, ModelSpec, ParamValue
from worker.core.rules.text import canonical, canonical_values, is_visible, storable
from worker.intake.rules import column_names
from worker.intake.rules import references as rules_references
from worker.intake.rules.column_names import JSON, metadata

__all__ = [
    "JSON",
    "BatchRequest",
    "Fault",
    "JobRequest",
    "Keys",
    "Priority",
    "Purpose",
    "fingerprint",
    "validate",
    "validate_batch",
]


_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRequest:
    """One requested image, within every limit of its model."""

    line: int
    key: str
    prompt: str
    """Sent exactly as it is."""
    model: str
    params: Mapping[str, ParamValue]
    """Every parameter of the model, defaults filled in; one without a default only if it is given."""
    references: tuple[str, ...]
    """As the caller wrote them, in their order; ``reference_source`` says what each names."""
    metadata: Mapping[str, JSON]


def validate(
    raw: Mapping[str, object], line: int, *, extra: Collection[str] = frozenset()
) -> JobRequest | tuple[Fault, ...]:
    """The request that the line asks for, or every fault of the line at once.

    Columns named in ``extra`` are kept as metadata although they look like others.
    """
    check = _Checks(raw, line)
    key = check.field("key", lambda value: job_key(value, line))
    check.key = key if raw.get("key") not in (None, "") else None
    model = check.field("model", _model)
    spec = MODELS[model or DEFAULT_MODEL]
    known = column_names.known(spec)
    prompt = check.field("prompt", lambda value: _prompt(value, spec))
    params = {param.name: check.field(param.name, param.value) for param in spec.params}
    references = check.whole("reference", raw, lambda value: rules_references.references(value, spec))
    check.names(spec, {*known, *extra}, is_known_model=model is not None)
    unused = column_names.of_others(spec).difference(extra)
    rest = {name: value for name, value in raw.items() if name not in known and name not in unused}
    kept = check.whole("metadata", rest, metadata)
    if check.faults or key is None or model is None or prompt is None or references is None or kept is None:
        return tuple(check.faults)
    chosen = {name: value for name, value in params.items() if value is not None}
    return JobRequest(
        line=line, key=key, prompt=prompt, model=model, params=chosen, references=references, metadata=kept
    )


def fingerprint(request: JobRequest, references: Sequence[str]) -> str:
    """A hash in hex over all that decides the image: model, prompt, parameters and the bytes of the references.

    It is that of a JSON object with these four names; it is put together from its parts, which takes half the time.
    """
    content = (
        f'{{"model":{canonical(request.model)},"params":{canonical_values(request.params)},'
        f'"prompt":{canonical(request.prompt)},"reference":{canonical_references(references)}}}'
    )
    return hashlib.sha256(content.encode()).hexdigest()


def canonical_references(references: Sequence[str]) -> str:
    """Return the hashes of a request's references as JSON: null, one text, or a list.

    Fingerprints of what was made before a request could have several are hashes over the first two.
    """
    if len(references) > 1:
        return canonical(list(references))
    return canonical(references[0] if references else None)


class _Checks:
    """Collects the faults of one line, so that all of them are reported together."""

    def __init__(self, raw: Mapping[str, object], line: int) -> None:
        self.faults: list[Fault] = []
        self.key: str | None = None
        self._raw = raw
        self._line = line

    def field(self, name: str, check: Callable[[object], _T]) -> _T | None:
        return self.whole(name, self._raw.get(name), check)

    def whole(self, name: str, value: object, check: Callable[..., _T]) -> _T | None:
        try:
            return check(value)
        except UnfitError as unfit:
            self._report(name, unfit)
            return None

    def names(self, spec: ModelSpec, fine: Collection[str], *, is_known_model: bool) -> None:
        """Report probably misspelt columns, and values of parameters that the model lacks.

        Those in ``fine`` are skipped. An empty cell asks for nothing, and what resembles a column that has a
        value itself is data of the caller's own.
        """
        for name, value in self._raw.items():
            if not isinstance(name, str) or name in fine or _is_blank(value):
                continue
            found = column_names.misnamed(name, spec)
            if found is None or (found.meant is None and not is_known_model):
                continue
            if found.meant is None or _is_blank(self._raw.get(found.meant)):
                self._report(name, found.as_error())

    def _report(self, name: str, unfit: UnfitError) -> None:
        self.faults.append(
            Fault(line=self._line, key=self.key, field=name, reason=unfit.reason, permitted=unfit.permitted)
        )


def _model(value: object) -> str:
    if value is None or value == "":
        return DEFAULT_MODEL
    name = storable(value)
    if name not in MODELS:
        raise not_known(name, MODELS)
    return name


def _prompt(value: object, spec: ModelSpec) -> str:
    if value is None:
        raise UnfitError("is missing")
    text = storable(value)
    if not text.strip():
        raise UnfitError("is blank")
    # The provider does not say how it counts. UTF-16 units are never fewer than code points: both are within.
    units = len(text.encode("utf-16-le")) // 2
    if units > spec.prompt_max:
        raise UnfitError(f"has {units:,} characters, permitted are {spec.prompt_max:,} (an emoji counts as two)")
    return text


def _is_blank(value: object) -> bool:
    return value is None or value == ""


KEY_MAX_BYTES = 180
"""Leaves room for an extension and a temporary suffix in the 255 bytes that file systems allow."""
_KEY_MAX_NUMBER = 10**18
_UNSAFE = frozenset('/\\:*?"<>|')
# Windows opens a device for these names, whatever follows the first dot.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\.|$)", re.IGNORECASE)


def job_key(value: object, line: int) -> str:
    """The key as text; a name made of the line number when there is none."""
    if value is None or value == "":
        return f"line-{line:06d}"
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _KEY_MAX_NUMBER:
        return str(value)
    return _file_name(storable(value))


def _file_name(text: str) -> str:
    if text != text.strip() or text.startswith(".") or text.endswith("."):
        raise UnfitError(f"{quoted(text)} begins or ends with a space or a dot, which a file name cannot")
    size = len(text.encode())
    if size > KEY_MAX_BYTES:
        raise UnfitError(f"has {size:,} bytes of UTF-8, permitted are {KEY_MAX_BYTES}")
    if not is_visible(text):
        raise UnfitError(f"holds a control or invisible character: {quoted(text)}")
    unsafe = _UNSAFE.intersection(text)
    if unsafe:
        raise UnfitError(f"{quoted(text)} holds {' '.join(sorted(unsafe))}, which a file name cannot")
    if _DEVICE.match(text):
        raise UnfitError(f"{quoted(text)} is the name of a device on Windows")
    return text


class Keys:
    """The keys seen so far in one batch: 16 bytes a slot, at most two thirds full (1,000,000 keys: 32 MB)."""

    def __init__(self) -> None:
        """Start with none."""
        self._digests = _empty(1024)
        self._lines = _empty(1024)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: str, line: int) -> Fault | None:
        """Remember the key; a fault naming the earlier line when the batch already has it.

        Two keys are the same when they differ only in case or in Unicode form, because their files would be
        one file on some systems. Lines count from 1.
        """
        digest = _digest(key)
        slot = self._slot(digest)
        if self._lines[slot]:
            reason = f"was used before, in line {self._lines[slot]} (case is ignored)"
            return Fault(line=line, key=key, field="key", reason=reason)
        self._digests[slot], self._lines[slot] = digest, line
        self._count += 1
        if self._count * 3 > len(self._lines) * 2:
            self._grow()
        return None

    def _slot(self, digest: int) -> int:
        mask = len(self._lines) - 1
        slot = digest & mask
        while self._lines[slot] and self._digests[slot] != digest:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        digests, lines = self._digests, self._lines
        self._digests = _empty(2 * len(lines))
        self._lines = _empty(2 * len(lines))
        for digest, line in zip(digests, lines, strict=True):
            if line:
                slot = self._slot(digest)
                self._digests[slot], self._lines[slot] = digest, line


def _empty(slots: int) -> "array[int]":
    return array("Q", [0]) * slots


def _digest(key: str) -> int:
    is_plain = key.isascii()
    folded = key.lower() if is_plain else unicodedata.normalize("NFC", unicodedata.normalize("NFC", key).casefold())
    return int.from_bytes(blake2b(folded.encode(), digest_size=8).digest(), "big")
