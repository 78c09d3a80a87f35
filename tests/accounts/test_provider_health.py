"""What is stored of the provider's health: evidence of each source apart, and what they share."""

from datetime import UTC, datetime

import pytest
from uuid_utils.compat import uuid7

from worker.accounts.queries import accounts, provider_health
from worker.accounts.queries.provider_health import Health, Source
from worker.accounts.rules.provider_failing import Evidence
from worker.core.db.session import Database

NOW = datetime(2020, 11, 22, 12, 0, tzinfo=UTC)
SEEN = Evidence(score=4.5, failed=5, succeeded=1)


@pytest.mark.parametrize(("of", "other"), [(Source.GENERATIONS, Source.CREATES), (Source.CREATES, Source.GENERATIONS)])
def test_evidence_of_one_source_is_none_of_the_other(of: Source, other: Source, database: Database) -> None:
    with database.transaction() as tx:
        account_id = accounts.ensure(tx, account_id=uuid7(), name="default", now=NOW)
        provider_health.save(tx, account_id, Health(source=of, evidence=SEEN, began_at=NOW, given_back=3))

        seen, unseen = provider_health.read(tx, account_id, of), provider_health.read(tx, account_id, other)
        worst = provider_health.worst(tx, account_id)

    assert (seen.evidence, seen.began_at) == (SEEN, NOW)
    assert (unseen.evidence, unseen.began_at) == (Evidence(), None)
    assert (seen.given_back, unseen.given_back) == (3, 3)
    assert worst == seen


def test_the_end_of_an_episode_forgets_the_evidence_of_both_sources(database: Database) -> None:
    with database.transaction() as tx:
        account_id = accounts.ensure(tx, account_id=uuid7(), name="default", now=NOW)
        for source in Source:
            provider_health.save(tx, account_id, Health(source=source, evidence=SEEN, began_at=NOW))

        provider_health.end_episode(tx, account_id, now=NOW)

        assert provider_health.read_all(tx, account_id) == [
            Health(source=source, recovered_at=NOW) for source in Source
        ]
