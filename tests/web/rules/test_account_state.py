"""An account's state in one sentence."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from worker.web.rules import wording
from worker.web.rules.wording import AccountFacts, PoolFacts

NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)
IDLE = AccountFacts(
    account="shop",
    pause_reason=None,
    pause_message=None,
    paused_at=None,
    probe_at=None,
    next_step="",
    blocked_until=None,
    nodes=1,
    open_jobs=0,
    held_back=0,
    pooled=0,
    images_per_s=0.0,
    limit_per_s=6.0,
    left_s=None,
    last_ended_at=None,
)
PAUSED = replace(
    IDLE, pause_reason="insufficient_credits", paused_at=NOW - timedelta(minutes=5), next_step="top up the wallet"
)


@pytest.mark.parametrize(
    ("facts", "tone", "says", "then"),
    [
        (IDLE, "good", "Idle.", "Nothing is open."),
        (replace(IDLE, held_back=22), "good", "Idle.", "22 images in paused batches."),
        (
            replace(IDLE, pooled=12),
            "good",
            "Idle.",
            "Nothing of its own is open; 12 images wait in its pools.",
        ),
        (
            replace(IDLE, last_ended_at=NOW - timedelta(hours=3)),
            "good",
            "Idle since the last image ended 3 h ago.",
            "Nothing is open.",
        ),
        (
            PAUSED,
            "bad",
            "Paused since 2026-11-29 09:55:00 UTC (5 min ago): insufficient credits.",
            "Next step: top up the wallet.",
        ),
        (
            replace(PAUSED, pause_reason="operator", pause_message="tea", probe_at=NOW - timedelta(minutes=1)),
            "warn",
            "Paused since 2026-11-29 09:55:00 UTC (5 min ago): operator (tea).",
            "Next step: top up the wallet. The next look is due now.",
        ),
        (
            replace(IDLE, blocked_until=NOW + timedelta(minutes=4)),
            "warn",
            "Closed by the provider until 2026-11-29 10:04:00 UTC (in 4 min).",
            "Work resumes then by itself, or at once with `darkroom account resume shop`.",
        ),
        (
            replace(IDLE, open_jobs=1, nodes=0),
            "bad",
            "No worker node runs, and 1 image waits.",
            "Start one with `darkroom up`, or see `darkroom doctor`.",
        ),
        (
            replace(IDLE, open_jobs=2, nodes=0),
            "bad",
            "No worker node runs, and 2 images wait.",
            "Start one with `darkroom up`, or see `darkroom doctor`.",
        ),
        (
            replace(IDLE, open_jobs=2, images_per_s=4.25),
            "info",
            "Rendering 4.25 images/s, of about 6/s that its limit allows.",
            "2 images open.",
        ),
        (
            replace(IDLE, open_jobs=1, left_s=90.0),
            "info",
            "Rendering 0 images/s, of about 6/s that its limit allows.",
            "1 image open, about 1 min of work at this limit.",
        ),
    ],
)
def test_the_gravest_fact_is_said_first(facts: AccountFacts, tone: str, says: str, then: str) -> None:
    found = wording.describe_account(facts, now=NOW)

    assert (found.tone, found.says, found.then) == (tone, says, then)


POOL = PoolFacts(accounts=["club", "shop"], paused=[], nodes=1, waiting=12, held_back=0, left_s=90.0)


@pytest.mark.parametrize(
    ("facts", "tone", "says", "then"),
    [
        (
            POOL,
            "info",
            "12 images wait for whichever account is free first: club, shop.",
            "About 1 min of work at their limits together.",
        ),
        (
            replace(POOL, paused=["club"], held_back=1),
            "info",
            "12 images wait for whichever account is free first: shop.",
            "About 1 min of work at their limits together. Paused: club. 1 image in paused batches.",
        ),
        (
            replace(POOL, paused=["club", "shop"]),
            "bad",
            "12 images wait, and each of its accounts is paused: club, shop.",
            "Next step: that of any of them.",
        ),
        (
            replace(POOL, nodes=0, waiting=1),
            "bad",
            "No worker node runs, and 1 image waits.",
            "Start one with `darkroom up`, or see `darkroom doctor`.",
        ),
        (
            replace(POOL, waiting=0, held_back=2),
            "good",
            "Nothing waits for its accounts.",
            "2 images in paused batches.",
        ),
    ],
)
def test_a_pool_is_said_in_a_sentence_with_its_consequence(facts: PoolFacts, tone: str, says: str, then: str) -> None:
    said = wording.describe_pool(facts)

    assert (said.tone, said.says, said.then) == (tone, says, then)
