"""Ids that follow from a form: whatever it writes has the same ones when it is sent again, and is refused as a copy."""

from collections.abc import Callable
from hashlib import sha256
from itertools import count
from uuid import UUID

FIELD = "form"
"""The hidden field that names one copy of one form."""
_TIME_BITS, _ID_BITS = 48, 128


def new_ids(form: UUID, *, actor: str, path: str) -> Callable[[], UUID]:
    """Return the generator of a request's UUIDs (version 7, of the form's time), the same for the same request.

    The hash keeps a client from choosing an id: ``actor`` and ``path`` are those of the request.
    """
    numbers = count()

    def new_id() -> UUID:
        digest = sha256(f"{form}\n{actor}\n{path}\n{next(numbers)}".encode()).digest()
        time = form.int >> (_ID_BITS - _TIME_BITS) << (_ID_BITS - _TIME_BITS)
        rest = int.from_bytes(digest) >> (_ID_BITS + _TIME_BITS)
        return UUID(int=(time | rest) & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)

    return new_id
