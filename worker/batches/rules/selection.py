"""A selection says which batches are meant by what they are, before it is known which they are."""

import re
from dataclasses import dataclass, fields
from datetime import datetime

from worker.core.rules.batch_request import Priority, Purpose


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a batch must be to be meant; what is None is not asked about."""

    owner: str | None = None
    name: str | None = None
    """A pattern: ``*`` stands for any characters, ``?`` for one."""
    purpose: Purpose | None = None
    priority: Priority | None = None
    since: datetime | None = None
    """Submitted at this instant or later."""
    before: datetime | None = None
    """Submitted before this instant."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked, so that every batch would be meant."""
        return not self._asked()

    def as_json(self) -> dict[str, object]:
        """Return what is asked; ``{"all": true}`` when nothing is, so that no empty filter is kept by accident."""
        found = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in self._asked()}
        return found or {"all": True}

    def _asked(self) -> list[tuple[str, object]]:
        found = ((field.name, getattr(self, field.name)) for field in fields(self))
        return [(name, value) for name, value in found if value is not None]


_SPECIAL = re.compile(r"[\\%_*?]")
_LIKE = {"*": "%", "?": "_"}


def like(pattern: str) -> str:
    """Return the same pattern in the words of SQL's LIKE, in which everything but ``*`` and ``?`` means itself."""
    return _SPECIAL.sub(lambda found: _LIKE.get(found.group(), "\\" + found.group()), pattern)
