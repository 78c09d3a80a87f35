"""What every handler of the web process works with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from worker import wiring
from worker.archive.reading import ArchiveReader
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.engine.services import Services
from worker.settings import Settings
from worker.storage.store import Store
from worker.web.limits import ApiLimits
from worker.web.rules.identity import Principal


@dataclass(frozen=True, kw_only=True)
class WebContext:
    """The parts of one web process; found in ``request.app.state.context``."""

    settings: Settings
    database: Database
    store: Store
    account_id: UUID
    clock: Callable[[], datetime]
    """The time of the database."""
    new_id: Callable[[], UUID]
    limits: ApiLimits = field(default_factory=ApiLimits)

    @property
    def archive(self) -> ArchiveReader:
        """What reads archived batches back from the store."""
        return ArchiveReader(lambda: self.store)

    def author(self, principal: Principal, reason: str | None = None) -> Author:
        """Return the identity as the author of a change at this instant."""
        return Author(actor=principal.actor, reason=reason, now=self.clock(), new_id=self.new_id)

    @contextmanager
    def provider(self) -> Iterator[Services]:
        """Yield what a decision needs that asks the provider first, as a command has it; raises NotConfigured."""
        services = wiring.services(self.settings, is_node=False)
        try:
            yield replace(services, database=self.database)
        finally:
            services.database.close()
