"""A key is the caller's own name of a job, fit to be a file name on every system and unique in its batch."""

import re
import unicodedata
from array import array
from hashlib import blake2b

from worker.core.rules.fault import Fault, UnfitError, quoted
from worker.core.rules.plain_text import is_visible, storable

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
