"""The prompt of a catalog's image is erased with all that would make it again, once its item is gone."""

import pytest
from sqlalchemy import text

from tests.audit.test_erasing import dumped
from tests.catalog.team import Team
from tests.fixtures import databases
from worker.audit import erasing
from worker.audit.erasing import NotErasable
from worker.audit.queries.erasures import Target
from worker.audit.verify import verify

COLOUR = "ultramarine"


def test_the_prompt_of_a_removed_item_is_nowhere_and_one_in_the_catalog_stays(team: Team, database_url: str) -> None:
    services = team.node.services
    team.stock({"a": COLOUR, "b": "blue"})
    batch_id = team.refresh().batch_id
    target = Target(subject=f"batch:{batch_id}", batch_id=batch_id)
    team.planned()

    with pytest.raises(NotErasable, match="would render"):
        erasing.erase(services.database, services.store, target, team.node.author("gone"), approve_above=None)
    team.stock({"c": "red"})
    erasing.erase(services.database, services.store, target, team.node.author("gone"), approve_above=None)

    with databases.owner(database_url) as engine, engine.connect() as tx:
        assert COLOUR not in dumped(engine)
        tx.execute(text("SET ROLE darkroom_app"))
        tx.commit()
        assert [check.name for check in verify(tx).checks if not check.ok] == []
