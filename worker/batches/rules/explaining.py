"""Waiting or lost? Where a job or a batch stands, why, what happens next and when, and what a person can do."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never

from worker.core.rules.states import ENDED_JOBS, WRITES, BatchState, JobState, StepKind

START_A_NODE = "start a worker node: `darkroom up`, or `darkroom node`"
_NO_NODE = "no worker node of this database is alive"


class Verdict(StrEnum):
    """What kind of answer it is."""

    ENDED = "ended"
    """Nothing more happens by itself, and nothing has to."""
    WORKING = "working"
    """Something is in progress."""
    WAITING = "waiting"
    """It goes on by itself."""
    NEEDS_ACTION = "needs_action"
    """It does not go on, or has not succeeded, until a person acts."""

    @property
    def words(self) -> str:
        """What commands and pages say of it."""
        return _WORDS[self]


_WORDS = {
    Verdict.ENDED: "it is over",
    Verdict.WORKING: "it is in progress",
    Verdict.WAITING: "it continues by itself",
    Verdict.NEEDS_ACTION: "it needs you",
}


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The answer in sentences; each may be shown by itself."""

    verdict: Verdict
    state: str
    """Of the job or the batch, as lists show it."""
    why: str
    next: str
    """What happens next by itself; empty: nothing."""
    next_at: datetime | None = None
    """When, at the earliest; None: not known."""
    to_do: str = ""
    """What a person can do; empty: nothing is needed."""
    archived: "Archived | None" = None
    """None: its rows are in the tables."""


@dataclass(frozen=True, kw_only=True)
class Archived:
    """When the rows of a batch were archived, and where its files lie in the store."""

    at: datetime
    folder: str


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """What keeps pending jobs of a batch from being begun."""

    reason: str
    next_step: str
    ends_by_itself: bool
    is_account_paused: bool
    stops_reads: bool
    """Whether also what is at the provider is neither polled nor downloaded."""


@dataclass(frozen=True, kw_only=True)
class StepFacts:
    """The step of a job in progress."""

    kind: StepKind
    due_at: datetime
    leased_until: datetime | None
    attempts: int
    """Tries that failed in a row."""
    error: str | None
    accepted_at: datetime | None
    """When the provider took the generation."""


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """One job, and what bears on it."""

    state: JobState
    batch_id: str
    ended_at: datetime | None
    failure_code: str | None
    failure_message: str | None
    charged: int
    """Credits that its generations have cost so far."""
    held: int
    """Credits that are held or reserved for it."""
    ahead: int
    """Pending jobs of its batch that come before it."""
    blocker: Blocker | None
    nodes: int
    """How many nodes are alive."""
    step: StepFacts | None
    archived: Archived | None = None


def explain_job(facts: JobFacts, *, now: datetime) -> Explanation:
    """Return where a job stands and why."""
    found = _explain_job(facts, now)
    if facts.archived is None:
        return found
    again = "submit its line in a new batch to order it again: archived jobs are not retried" if found.to_do else ""
    return _archived(found, facts.archived, again)


def _archived(found: Explanation, archived: Archived, to_do: str) -> Explanation:
    """Return the same of what was archived, which stays as it is."""
    why = f"{found.why}; archived on {archived.at:%Y-%m-%d} into {archived.folder} of the store"
    return replace(found, verdict=Verdict.ENDED, why=why, to_do=to_do, archived=archived)


def _explain_job(facts: JobFacts, now: datetime) -> Explanation:
    match facts.state:
        case JobState.PENDING:
            return _pending(facts)
        case JobState.ACTIVE:
            return _active(facts, now)
        case JobState.SUCCEEDED:
            return _ended(facts, Verdict.ENDED, f"its image is in the store since {_at(facts.ended_at)}")
        case JobState.CANCELLED:
            return _ended(facts, Verdict.ENDED, f"it was cancelled at {_at(facts.ended_at)}, before anything was sent")
        case JobState.FAILED:
            code = facts.failure_code or "unknown"
            words = f": {facts.failure_message}" if facts.failure_message else ""
            step = f"`darkroom retry {facts.batch_id} --code {code}`, when the cause is gone"
            why = f"it failed at {_at(facts.ended_at)} with {code}{words}"
            return _ended(facts, Verdict.NEEDS_ACTION, why, to_do=step)
        case JobState.IN_DOUBT:
            words = f" ({facts.failure_message})" if facts.failure_message else ""
            return Explanation(
                verdict=Verdict.NEEDS_ACTION,
                state=facts.state,
                why=f"it may have been charged, and the provider has not said so{words}; {_credits(facts)}",
                next="a generation that the provider knows is checked again, and its end is recorded",
                to_do="`darkroom audit in-doubt` shows the evidence, `darkroom resolve` records what you know",
            )
        case _:
            assert_never(facts.state)


def _ended(facts: JobFacts, verdict: Verdict, why: str, *, to_do: str = "") -> Explanation:
    return Explanation(verdict=verdict, state=facts.state, why=f"{why}; {_credits(facts)}", next="", to_do=to_do)


def _credits(facts: JobFacts) -> str:
    held = f", and {facts.held} are held" if facts.held else ""
    return f"{facts.charged} credits were charged{held}"


def _pending(facts: JobFacts) -> Explanation:
    admitted = "it is admitted when its turn comes: its credits are held, and its first request is sent"
    if facts.blocker is not None:
        blocker = facts.blocker
        return Explanation(
            verdict=Verdict.WAITING if blocker.ends_by_itself else Verdict.NEEDS_ACTION,
            state=facts.state,
            why=f"it is not begun: {blocker.reason}; nothing is held for it",
            next=f"when that is over, {admitted}",
            to_do=blocker.next_step,
        )
    if not facts.nodes:
        return Explanation(
            verdict=Verdict.NEEDS_ACTION,
            state=facts.state,
            why=f"it is not begun: {_NO_NODE}; nothing is held for it",
            next="",
            to_do=START_A_NODE,
        )
    ahead = f"{facts.ahead:,} jobs of its batch come before it" if facts.ahead else "it is the next of its batch"
    return Explanation(
        verdict=Verdict.WAITING,
        state=facts.state,
        why=f"it waits for its turn under the account's rate limit and window: {ahead}; nothing is held for it",
        next=admitted,
    )


@dataclass(frozen=True, kw_only=True)
class StepWords:
    """The texts that explain a kind of step."""

    doing: str
    """What happens to the job, as the end of a sentence."""
    one: str
    many: str


STEP_WORDS: Final[Mapping[StepKind, StepWords]] = {
    StepKind.UPLOAD: StepWords(doing="its reference is uploaded to the provider", one="upload", many="uploads"),
    StepKind.SUBMIT: StepWords(doing="its generation is created at the provider", one="create", many="creates"),
    StepKind.POLL: StepWords(doing="the provider is asked whether its generation has ended", one="poll", many="polls"),
    StepKind.COLLECT: StepWords(doing="its image, which is paid, is downloaded", one="download", many="downloads"),
}


def _active(facts: JobFacts, now: datetime) -> Explanation:
    step = facts.step
    if step is None:
        return Explanation(
            verdict=Verdict.NEEDS_ACTION,
            state=facts.state,
            why=f"it is in progress without a step, which cannot be; {_credits(facts)}",
            next="",
            to_do="`darkroom audit verify` checks the books; report it with `darkroom audit job`",
        )
    work = STEP_WORDS[step.kind].doing
    if not facts.nodes:
        return Explanation(
            verdict=Verdict.NEEDS_ACTION,
            state=facts.state,
            why=f"{_NO_NODE}; {_so_far(facts, step)}",
            next=f"as soon as one is, {work}",
            to_do=START_A_NODE,
        )
    blocker = facts.blocker
    if blocker is not None and blocker.is_account_paused and (blocker.stops_reads or step.kind in WRITES):
        return Explanation(
            verdict=Verdict.WAITING if blocker.ends_by_itself else Verdict.NEEDS_ACTION,
            state=facts.state,
            why=f"{blocker.reason}; {_so_far(facts, step)}",
            next=f"when that is over, {work}",
            to_do=blocker.next_step,
        )
    return _in_progress(facts, step, now)


def _in_progress(facts: JobFacts, step: StepFacts, now: datetime) -> Explanation:
    work = STEP_WORDS[step.kind].doing
    if step.attempts and step.error:
        times = "once" if step.attempts == 1 else f"{step.attempts} times in a row"
        return Explanation(
            verdict=Verdict.WAITING,
            state=facts.state,
            why=f"the last try failed ({times}): {step.error}; {_so_far(facts, step)}",
            next=f"it is tried again: {work}",
            next_at=step.due_at,
        )
    if step.leased_until is not None and step.leased_until > now:
        return Explanation(
            verdict=Verdict.WORKING,
            state=facts.state,
            why=f"a node has it: {work}; {_so_far(facts, step)}",
            next="if that node is gone, another takes it over when the lease ends",
            next_at=step.leased_until,
        )
    if step.due_at <= now:
        return Explanation(
            verdict=Verdict.WAITING,
            state=facts.state,
            why=f"its step is due since {_at(step.due_at)} and waits for a slot of the rate limit;"
            f" {_so_far(facts, step)}",
            next=work,
        )
    return Explanation(
        verdict=Verdict.WORKING,
        state=facts.state,
        why=_so_far(facts, step),
        next=work,
        next_at=step.due_at,
    )


def _so_far(facts: JobFacts, step: StepFacts) -> str:
    if step.kind is StepKind.COLLECT:
        return f"the provider has made its image; {_credits(facts)}"
    if step.accepted_at is not None:
        return f"it is at the provider since {_at(step.accepted_at)}; {_credits(facts)}"
    return f"nothing of it is known to be at the provider yet; {_credits(facts)}"


def _at(instant: datetime | None) -> str:
    return "an unknown time" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, kw_only=True)
class BatchFacts:
    """One batch, and what bears on it."""

    batch_id: str
    shown_state: str
    """As lists show it: refused, cancelled, done, paused, waiting or running."""
    state: BatchState
    jobs: Mapping[JobState, int]
    blocker: Blocker | None
    nodes: int
    next_due_at: datetime | None
    """When the first step of its jobs is due; None: none is in progress."""
    archived: Archived | None = None


def explain_batch(facts: BatchFacts) -> Explanation:
    """Return where a batch stands and why."""
    if facts.archived is not None:
        step = f"`darkroom results {facts.batch_id}` reads its lines from the store"
        return _archived(_done(facts), facts.archived, step)
    if facts.state is BatchState.REFUSED:
        return Explanation(
            verdict=Verdict.NEEDS_ACTION,
            state=facts.shown_state,
            why="it was refused: lines of it are invalid, and nothing of it is rendered",
            next="",
            to_do=f"`darkroom status {facts.batch_id}` lists the faults; correct them and submit it again",
        )
    if all(not count for state, count in facts.jobs.items() if state not in ENDED_JOBS):
        return _done(facts)
    if not facts.nodes:
        return Explanation(
            verdict=Verdict.NEEDS_ACTION,
            state=facts.shown_state,
            why=f"{_NO_NODE}; {_counts(facts)}",
            next="",
            to_do=START_A_NODE,
        )
    return _open(facts)


def _done(facts: BatchFacts) -> Explanation:
    doubts, failed = facts.jobs[JobState.IN_DOUBT], facts.jobs[JobState.FAILED]
    steps = []
    if failed:
        steps.append(f"`darkroom retry {facts.batch_id}` retries the failed jobs")
    if doubts:
        steps.append("`darkroom audit in-doubt` shows the evidence of jobs in doubt, `darkroom resolve` ends them")
    return Explanation(
        verdict=Verdict.NEEDS_ACTION if steps else Verdict.ENDED,
        state=facts.shown_state,
        why=f"all its jobs have ended: {_counts(facts)}",
        next="",
        to_do="; ".join(steps),
    )


def _open(facts: BatchFacts) -> Explanation:
    active, blocker = facts.jobs[JobState.ACTIVE], facts.blocker
    following = "jobs in progress continue" if active else ""
    if blocker is None:
        return Explanation(
            verdict=Verdict.WORKING if active else Verdict.WAITING,
            state=facts.shown_state,
            why=_counts(facts) + ("" if active else "; its jobs wait for their turn under the rate limit"),
            next=following or "its next jobs are admitted when their turn comes",
            next_at=facts.next_due_at,
        )
    goes_on = active > 0 and not (blocker.is_account_paused and blocker.stops_reads)
    waits = Verdict.WAITING if blocker.ends_by_itself else Verdict.NEEDS_ACTION
    return Explanation(
        verdict=Verdict.WORKING if goes_on and not facts.jobs[JobState.PENDING] else waits,
        state=facts.shown_state,
        why=f"{blocker.reason}; {_counts(facts)}",
        next=following if goes_on else "",
        next_at=facts.next_due_at if goes_on else None,
        to_do=blocker.next_step,
    )


def _counts(facts: BatchFacts) -> str:
    parts = [f"{count:,} {state.value.replace('_', ' ')}" for state, count in facts.jobs.items() if count]
    return ", ".join(parts) or "it has no jobs"
