"""Whether the provider works at all: failures of many prompts, and creates without an answer, pause the account.

While it is paused one job at a time tries whether it works again (a canary), with growing waits.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto

import structlog
from sqlalchemy import Connection

from worker.accounts.queries import accounts, provider_health
from worker.accounts.queries.accounts import AccountRow
from worker.accounts.queries.provider_health import Health, Source
from worker.accounts.rules import provider_failing
from worker.core.db import session
from worker.core.rules import retry
from worker.core.rules.errors import Conflict, OutcomeUnknown, PauseReason, ProviderError
from worker.engine.queries import failures
from worker.engine.queries.failures import Attempt
from worker.engine.queries.steps import Work
from worker.engine.services import Services
from worker.engine.steps import outcomes, transitions
from worker.engine.steps.transitions import Transition

log = structlog.get_logger(__name__)

CANARIES = 2
"""So many jobs in a row must succeed before all go on."""

UNDECIDED_WAIT = timedelta(seconds=5)
"""How soon a failure is looked at again whose cause is not decided."""

UNDECIDED_FOR = timedelta(minutes=5)
"""How long the end of a job waits for the outcomes of others."""

LONE_WAITS = (timedelta(seconds=30), timedelta(minutes=2, seconds=30), timedelta(minutes=8))
"""Before each further try of a job at which nothing else says whether the provider works."""

LONE_INTERVAL = timedelta(minutes=12)
"""How long other jobs with its prompt wait for what comes of it: as long as its tries take, and a minute."""

LONE_LOOK = timedelta(seconds=30)
"""How soon such jobs are looked at again; a success that is so much later than a failure does not explain it."""

WEAK_PERIOD = timedelta(hours=1)
"""After a pause of this length on little evidence, failures count against their jobs again: they may all be bad."""

REFUSED_PERIOD = timedelta(days=1)
"""After a pause of this length for refused creates, each refused canary ends its job: all lines may be at fault."""

LOST_CREATES = 3
"""So many creates in a row without a usable answer pause the account."""

_SAMPLE = 16
"""One success in so many is written down while the provider is well, and counts for all of them."""

_PROVED_EVERY = timedelta(minutes=1)
"""How exactly the time of the last success is known."""


class Verdict(Enum):
    """Whose failure a failed generation is."""

    THE_JOBS = auto()
    """It counts against its job and its prompt."""
    THE_PROVIDERS = auto()
    """The job goes back in line with no attempt lost."""
    UNDECIDED = auto()
    """The job's end waits for the outcomes of others."""
    ALONE = auto()
    """There are no others: the job waits to be tried again, with no attempt lost."""


def judge(
    tx: Connection,
    services: Services,
    account: AccountRow,
    work: Work,
    *,
    code: str,
    is_free: bool,
    would_end: bool,
    source: Source = Source.GENERATIONS,
) -> Verdict:
    """Count a failed generation and say whose failure it is; pauses the account when it is the provider's.

    ``account`` is locked. ``would_end``: the job has no further attempt.
    """
    now = services.clock()
    health = provider_health.read(tx, work.account_id, source)
    known = failures.attempt(tx, work.generation_id)
    if account.pause_reason is PauseReason.PROVIDER_FAILING:
        return _while_paused(tx, services, account, health, work, code)
    if known is not None and known.is_excused:
        failures.forget_attempt(tx, work.generation_id)
        return Verdict.THE_PROVIDERS
    if known is None and _is_of_an_outage(work, health):
        return Verdict.THE_PROVIDERS
    if known is not None and known.began_at != health.began_at:
        return _after_success(tx, work, known, now)
    if known is None:
        health = _counted(tx, health, work, now)
    if not health.evidence.is_conclusive and not would_end:
        failures.count_attempt(tx, work.generation_id)
        return Verdict.THE_JOBS
    return _verdict(tx, services, account, health, work, known, code=code, is_free=is_free)


def judge_refusal(tx: Connection, services: Services, account: AccountRow, work: Work, *, code: str) -> Verdict:
    """Count a refused create and say whose failure it is, as for a generation whose failure would end its job."""
    return judge(tx, services, account, work, code=code, is_free=True, would_end=True, source=Source.CREATES)


def postpone_undecided(services: Services, work: Work, code: str, verdict: Verdict) -> Transition:
    """Postpone the end of a job until the outcomes of others show whether the provider works, or it is retried."""
    is_alone = verdict is Verdict.ALONE
    due_at = services.clock() + (LONE_LOOK if is_alone else UNDECIDED_WAIT)
    words = f"{code}: whether the prompt or the provider fails is not decided yet"
    words += "; it is tried again within 8 minutes at no cost" if is_alone else ""
    return outcomes.postpone(work, due_at=due_at, error=words)


def _is_of_an_outage(work: Work, health: Health) -> bool:
    """Return whether the attempt began before the provider worked again, and its failure is only seen now."""
    began_at = work.accepted_at or work.first_sent_at
    return health.recovered_at is not None and began_at is not None and began_at <= health.recovered_at


def _verdict(
    tx: Connection,
    services: Services,
    account: AccountRow,
    health: Health,
    work: Work,
    known: Attempt | None,
    *,
    code: str,
    is_free: bool,
) -> Verdict:
    """Say whose failure it is that would end the job, or any failure of a provider that is failing."""
    now, evidence = services.clock(), health.evidence
    if not evidence.is_conclusive:
        if evidence.is_calm or not is_free:
            return Verdict.THE_JOBS
        is_young = known is None or now < known.failed_at + UNDECIDED_FOR
        is_more_to_come = failures.is_more_to_come(tx, work)
        if is_young and is_more_to_come:
            return Verdict.UNDECIDED
        if not evidence.is_one_sided:
            if evidence.succeeded:
                return _after_success(tx, work, known, now)
            return _the_jobs(tx, work) if is_more_to_come else _try_alone(tx, work, known, now)
    return _pause(tx, services, account, health, code) if account.pause_reason is None else Verdict.THE_PROVIDERS


def _try_alone(tx: Connection, work: Work, known: Attempt | None, now: datetime) -> Verdict:
    """Have a job tried again some times, with growing waits: an outage passes, a bad prompt stays bad.

    Of the jobs with one prompt only the first is tried; the others wait for what comes of it.
    """
    if known is None:
        return Verdict.ALONE
    is_first = failures.is_first_of_prompt(tx, work)
    tries = failures.excused(tx, work.job_id)
    waits = LONE_WAITS[tries:] if is_first else (LONE_INTERVAL,)
    if waits and now < known.failed_at + waits[0]:
        return Verdict.ALONE
    if not is_first or not waits:
        return _the_jobs(tx, work)
    failures.excuse(tx, work.generation_id)
    return Verdict.THE_PROVIDERS


def _after_success(tx: Connection, work: Work, known: Attempt | None, now: datetime) -> Verdict:
    """Others have succeeded: the failure is the job's own, unless the provider may have been ill then."""
    is_old = known is not None and now >= known.failed_at + LONE_LOOK
    if is_old and failures.excused(tx, work.job_id) < len(LONE_WAITS):
        failures.excuse(tx, work.generation_id)
        return Verdict.THE_PROVIDERS
    return _the_jobs(tx, work)


def _the_jobs(tx: Connection, work: Work) -> Verdict:
    failures.forget_attempt(tx, work.generation_id)
    return Verdict.THE_JOBS


def _counted(tx: Connection, health: Health, work: Work, now: datetime) -> Health:
    """Count the failure if it is the first one of its prompt."""
    if health.began_at is None and work.prompt_record is not None:
        return health
    began_at = health.began_at or work.accepted_at or now
    is_first = failures.note_attempt(tx, work, began_at=began_at, now=now)
    if work.prompt_record is not None or not is_first:
        return health
    after = replace(health, evidence=provider_failing.failure(health.evidence), began_at=began_at)
    provider_health.save(tx, work.account_id, after)
    return after


def _pause(tx: Connection, services: Services, account: AccountRow, health: Health, code: str) -> Verdict:
    now = services.clock()
    probes = account.probes if _is_relapse(account, now) else 0
    probe_at = now + retry.CANARY.wait(probes + 1, services.jitter())
    health = replace(health, canary_job_id=None, canaries_passed=0, given_back=0, proved_at=None)
    accounts.pause(
        tx,
        account.id,
        reason=PauseReason.PROVIDER_FAILING,
        message=_words(health, code, probe_at),
        now=now,
        probe_at=probe_at,
        probes=probes,
    )
    provider_health.save(tx, account.id, health)
    log.error("account.paused", account=str(account.id), reason=PauseReason.PROVIDER_FAILING, code=code)
    return Verdict.THE_PROVIDERS


def _is_relapse(account: AccountRow, now: datetime) -> bool:
    return account.resumed_at is not None and now < account.resumed_at + outcomes.RELAPSE


_SAID = {Source.GENERATIONS: "prompts failed", Source.CREATES: "prompts were refused"}


def _words(health: Health, code: str, probe_at: datetime) -> str:
    evidence = health.evidence
    assert health.began_at is not None
    return (
        f"{evidence.failed} of {evidence.failed + evidence.succeeded} {_SAID[health.source]} since"
        f" {health.began_at:%Y-%m-%d %H:%M:%S} UTC, last with {code}; {health.given_back} attempts given back;"
        f" next canary at {probe_at:%Y-%m-%d %H:%M:%S} UTC"
    )


def _while_paused(
    tx: Connection, services: Services, account: AccountRow, health: Health, work: Work, code: str
) -> Verdict:
    """Excuse the failure; that of a canary puts the next one off."""
    now = services.clock()
    if failures.attempt(tx, work.generation_id) is None:
        # Of this source nothing may have failed before: the account is paused for the other.
        began_at = health.began_at or work.accepted_at or now
        health = replace(health, began_at=began_at)
        is_first = failures.note_attempt(tx, work, began_at=began_at, now=now, is_excused=True)
        if is_first and work.prompt_record is None:
            health = replace(health, evidence=provider_failing.failure(health.evidence))
        provider_health.save(tx, account.id, health)
    if health.canary_job_id != work.job_id:
        return Verdict.THE_PROVIDERS
    probe_at = now + retry.CANARY.wait(account.probes + 1, services.jitter())
    accounts.set_probe(tx, account.id, at=probe_at)
    accounts.set_pause_message(tx, account.id, _words(health, code, probe_at))
    provider_health.save(tx, account.id, replace(health, canary_job_id=None, canaries_passed=0))
    log.warning("account.canary_failed", **transitions.ids(work), code=code, probes=account.probes)
    assert account.paused_at is not None
    period = REFUSED_PERIOD if health.evidence.is_conclusive else WEAK_PERIOD
    is_decided = health.evidence.is_conclusive and health.source is Source.GENERATIONS
    is_weak = not is_decided and now >= account.paused_at + period
    return Verdict.THE_JOBS if is_weak else Verdict.THE_PROVIDERS


def give_back(services: Services, work: Work, code: str) -> None:
    """Take the failures that are the provider's off their jobs, when the account is paused for them."""
    with services.database.transaction() as tx:
        account = accounts.lock(tx, work.account_id)
        if account.pause_reason is not PauseReason.PROVIDER_FAILING:
            return
        given = failures.give_back(tx, work.account_id)
        if given and account.probe_at is not None:
            health = provider_health.worst(tx, work.account_id)
            accounts.set_pause_message(tx, account.id, _words(health, code, account.probe_at))
    if given:
        log.info("account.attempts_given_back", account=str(work.account_id), attempts=given)


def succeeded(services: Services, work: Work) -> None:
    """Count a success in the provider's favour; that of a canary lets the work go on."""
    now = services.clock()
    is_sampled = work.generation_id.int % _SAMPLE == 0
    is_news = work.proved_at is None or now >= work.proved_at + _PROVED_EVERY
    if not (work.is_canary or work.is_provider_suspect or is_sampled or is_news):
        return
    with services.database.transaction() as tx:
        account = accounts.lock(tx, work.account_id)
        health = provider_health.read(tx, work.account_id)
        if account.pause_reason is not None and account.pause_reason.sends_canaries:
            if account.pause_reason is PauseReason.PROVIDER_FAILING and health.canary_job_id == work.job_id:
                _passed(tx, services, account, health)
            return
        evidence = health.evidence
        if evidence.is_calm and is_sampled:
            evidence = provider_failing.successes(evidence, _SAMPLE)
        # A success of what was created before the failures says nothing about the provider since then.
        is_evidence = health.began_at is None or (work.accepted_at or now) > health.began_at
        after = provider_failing.success(evidence) if is_evidence else evidence
        began_at = None if after.is_calm else health.began_at
        provider_health.save(tx, work.account_id, replace(health, evidence=after, began_at=began_at, proved_at=now))
        if after.is_calm and not health.evidence.is_calm:
            provider_health.forget_decided(tx, work.account_id)


def _passed(tx: Connection, services: Services, account: AccountRow, health: Health) -> None:
    """Send the next canary, or end the pause."""
    now, passed = services.clock(), health.canaries_passed + 1
    if passed < CANARIES:
        provider_health.save(tx, account.id, replace(health, canary_job_id=None, canaries_passed=passed))
        accounts.set_probe(tx, account.id, at=now)
    else:
        accounts.resume(tx, account.id, PauseReason.PROVIDER_FAILING, now=now)
        provider_health.end_episode(tx, account.id, now=now)
        log.info("account.resumed", account=str(account.id), reason=PauseReason.PROVIDER_FAILING)
    session.notify(tx)


def lost(services: Services, work: Work, error: ProviderError) -> None:
    """Count a create whose answer is not usable; several in a row pause the account.

    Each generation counts once: that its request is sent again under its key buys nothing more.
    """
    is_lost = isinstance(error, OutcomeUnknown | Conflict) and error.code != "reserved_missing"
    if work.has_unanswered_send or not is_lost or not services.policies.has_brakes:
        return
    now = services.clock()
    with services.database.transaction() as tx:
        account = accounts.lock(tx, work.account_id)
        health = provider_health.read(tx, work.account_id)
        health = replace(health, lost_creates=health.lost_creates + 1)
        is_paused = account.pause_reason is None and health.lost_creates >= LOST_CREATES
        if is_paused:
            probes = account.probes if _is_relapse(account, now) else 0
            health = replace(health, canary_job_id=None, canaries_passed=0, proved_at=None)
            accounts.pause(
                tx,
                account.id,
                reason=PauseReason.OUTCOMES_UNKNOWN,
                message=f"{health.lost_creates} creates in a row had no usable answer, last {error}; they are asked for"
                " again under their keys",
                now=now,
                probe_at=now,
                probes=probes,
            )
            log.error("account.paused", account=str(account.id), reason=PauseReason.OUTCOMES_UNKNOWN, error=str(error))
        provider_health.save(tx, work.account_id, health)


def accepted(services: Services, work: Work) -> None:
    """Count an accepted create in the provider's favour: begin to count lost ones anew, and end a pause for them."""
    is_paused = work.pause_reason is PauseReason.OUTCOMES_UNKNOWN
    if not (work.lost_creates or is_paused or work.is_refusal_suspect):
        return
    with services.database.transaction() as tx:
        account = accounts.lock(tx, work.account_id)
        health = provider_health.read(tx, work.account_id, Source.CREATES)
        is_evidence = work.is_refusal_suspect and account.pause_reason is None
        after = provider_failing.success(health.evidence) if is_evidence else health.evidence
        began_at = None if is_evidence and after.is_calm else health.began_at
        provider_health.save(tx, work.account_id, replace(health, evidence=after, began_at=began_at, lost_creates=0))
        if after.is_calm and not health.evidence.is_calm:
            provider_health.forget_decided(tx, work.account_id)
        if account.pause_reason is PauseReason.OUTCOMES_UNKNOWN:
            accounts.resume(tx, account.id, PauseReason.OUTCOMES_UNKNOWN, now=services.clock())
            session.notify(tx)
            log.info("account.resumed", account=str(account.id), reason=PauseReason.OUTCOMES_UNKNOWN)
