"""Whether the provider offers a model, as its list of models says."""

from collections.abc import Mapping

UNLISTED = "unlisted"
AVAILABLE = "available"


def why_not(model: str, statuses: Mapping[str, str | None]) -> str | None:
    """Return why a model cannot be called; None when it can, or when its entry says nothing about it.

    ``statuses`` has the ``api_status`` of each listed model. The list is documented to be whole: it includes models
    that cannot be called yet (provider contract, section 5).
    """
    if model not in statuses:
        return UNLISTED
    status = statuses[model]
    return None if status is None or status == AVAILABLE else status
