"""Whether a key of the provider's is the one that is remembered, without keeping the key."""

import hashlib
import hmac

_COST = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
"""About 50 ms and 16 MB a try (scrypt, RFC 7914): it happens once per start of a process."""


def mark(key: str, salt: bytes) -> str:
    """Return what may be stored of a key: the salt, and a hash that the key cannot be found from."""
    return f"{salt.hex()}${_hashed(key, salt)}"


def is_marked(key: str, known: str) -> bool:
    """Return whether ``known`` is a mark of this key."""
    salt, _, hashed = known.partition("$")
    return hmac.compare_digest(_hashed(key, bytes.fromhex(salt)), hashed)


def shown(known: str | None) -> str | None:
    """Return the part of a mark by which people tell two of them apart."""
    return None if known is None else f"mark {known.partition('$')[2][:12]}"


def _hashed(key: str, salt: bytes) -> str:
    return hashlib.scrypt(key.encode(), salt=salt, **_COST).hex()
