"""What happens next with a job, and when: waiting and lost are told apart in one sentence."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from worker.batches.rules.explaining import JobFacts
from worker.core.rules.states import JobState, StepKind
from worker.web.rules import wording

_LATE = timedelta(minutes=1)
"""A step that has been due for longer waits for more than a free slot."""
_DOES = {
    StepKind.UPLOAD: "its reference is uploaded",
    StepKind.SUBMIT: "the provider is asked to render it",
    StepKind.POLL: "the provider is asked whether it has ended",
    StepKind.COLLECT: "its image is downloaded",
}


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """A sentence, what a person can do, and how it is coloured."""

    tone: str
    says: str
    then: str = ""


def describe(facts: JobFacts, *, now: datetime) -> Outlook:
    """Return what happens next with a job."""
    match facts.state:
        case JobState.SUCCEEDED:
            return Outlook(tone="good", says=f"Done: its image was stored {wording.ago(facts.ended_at, now)}.")
        case JobState.FAILED:
            message = f": {facts.failure_message}" if facts.failure_message else ""
            return Outlook(
                tone="bad",
                says=f"Failed {wording.ago(facts.ended_at, now)} with {facts.failure_code or 'unknown'}{message}",
                then="Nothing more happens by itself; a retry of its batch asks for it again.",
            )
        case JobState.CANCELLED:
            return Outlook(tone="", says="Cancelled before anything was sent for it: it costs nothing.")
        case JobState.IN_DOUBT:
            return Outlook(
                tone="warn",
                says="In doubt: it is not known whether it was charged,"
                f" so {wording.plural(facts.held, 'credit')} stay held until a person decides.",
                then="If the provider reports its end, it is adopted by itself.",
            )
        case JobState.PENDING:
            return _pending(facts)
        case JobState.ACTIVE:
            return _active(facts, now)
        case _:
            assert_never(facts.state)


def _pending(facts: JobFacts) -> Outlook:
    if facts.blocker is not None:
        then = f"Next step: {facts.blocker.next_step}." if facts.blocker.next_step else ""
        return Outlook(tone="warn", says=f"Waiting, not lost: {facts.blocker.reason}.", then=then)
    if not facts.nodes:
        return _without_node()
    ahead = f"{wording.plural(facts.ahead, 'job')} of its batch go first"
    place = ahead if facts.ahead else "it is the next of its batch"
    return Outlook(tone="info", says=f"Waiting for its turn: {place}. Nothing is held for it yet.")


def _without_node() -> Outlook:
    return Outlook(
        tone="bad",
        says="Waiting, not lost: no worker node runs.",
        then="Start one with `darkroom up`; it goes on then.",
    )


def _active(facts: JobFacts, now: datetime) -> Outlook:
    step = facts.step
    if step is None:
        return Outlook(tone="info", says="Its next step is being written right now.")
    does = _DOES[step.kind]
    tries = f"The last {wording.plural(step.attempts, 'try', 'tries')} failed: {step.error}." if step.error else ""
    if step.leased_until is not None and step.leased_until > now:
        return Outlook(
            tone="info",
            says=f"In progress: {does} by a node right now; if that node dies, another goes on"
            f" {wording.until(step.leased_until, now)}.",
            then=tries,
        )
    if not facts.nodes:
        return _without_node()
    if step.due_at > now:
        return Outlook(
            tone="warn" if tries else "info",
            says=f"Waiting, not lost: {does} {wording.until(step.due_at, now)}.",
            then=tries,
        )
    if now - step.due_at < _LATE:
        return Outlook(tone="info", says=f"Due now: {does} as soon as the rate limit has a free slot.", then=tries)
    waits = facts.blocker.reason if facts.blocker else "the rate limit has had no free slot for it"
    return Outlook(
        tone="warn",
        says=f"Waiting, not lost: {does} when it can be, due for {wording.span(now - step.due_at)}; {waits}.",
        then=tries,
    )
