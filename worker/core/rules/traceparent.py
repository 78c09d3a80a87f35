"""The ``traceparent`` of W3C Trace Context: what a producer names its own trace by."""

import re

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_NO_VERSION = "ff"
_LONGEST = 512
"""Of what a later version may append; longer ones are not read."""


def parse(value: object) -> str | None:
    """Return the value in the form of version 00; None when it is none, which is never a fault of a batch.

    Later versions are read as version 00, as the standard asks (w3.org/TR/trace-context, section 3.2.3).
    """
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    found = _FORM.fullmatch(value.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    is_longer_than_known = version == "00" and rest is not None
    if version == _NO_VERSION or is_longer_than_known or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return f"00-{trace_id}-{span_id}-{flags}"
