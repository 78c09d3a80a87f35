"""Fields of forms: whole numbers, and lists with one entry on each line or commas between them."""

from collections.abc import Mapping

from worker.web.problems import Problem

Fields = Mapping[str, str]
_DIGITS = 15
"""As many digits as a bigint surely holds."""


def whole(fields: Fields, name: str, label: str, *, least: int = 0, most: int = 10**_DIGITS - 1) -> int | None:
    """Return a whole number, written with or without commas; None for an empty field. Raises Problem."""
    digits = fields.get(name, "").replace(",", "")
    if not digits:
        return None
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS and least <= int(digits) <= most):
        raise Problem(422, "request_invalid", f"{label}: write a whole number from {least:,} to {most:,}, or nothing.")
    return int(digits)


def lines(fields: Fields, name: str) -> list[str]:
    """Return the non-empty lines of a field."""
    return [each for line in fields.get(name, "").splitlines() if (each := line.strip())]


def listed(text: str) -> list[str]:
    """Return the non-empty, comma-separated values of a field."""
    return [each for part in text.split(",") if (each := part.strip())]
