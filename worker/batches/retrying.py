"""Ask for the failed jobs of a batch again, within the caller's transaction."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from worker.batches.queries import failed_jobs
from worker.core.db import changes, session
from worker.core.db.changes import Author
from worker.core.rules.errors import DarkroomError
from worker.engine.queries import failures


@dataclass(frozen=True, kw_only=True)
class RetryEffect:
    """What asking again did: so many jobs wait again, and hold so many credits once they are admitted."""

    jobs: int
    credits: int
    is_paused: bool = False
    """Whether they wait for their batch to be resumed."""
    left_out: int = 0
    """Failed jobs that stay as they are: their catalog no longer waits for their images."""
    erased: int = 0
    """Failed jobs that stay as they are: their prompt, or a reference, was erased."""
    recalled: int = 0
    """Further jobs whose image is paid for and asked for once more, which costs nothing."""


class PriceChanged(DarkroomError):
    """More jobs have failed since the price was shown; nothing was changed."""

    error_code = "retry_price_changed"

    def __init__(self, batch_id: UUID, price: int, shown: int) -> None:
        """Keep both prices."""
        super().__init__(batch_id, price, shown)
        self.batch_id, self.price, self.shown = batch_id, price, shown

    def __str__(self) -> str:
        """Return the message."""
        return f"to retry batch {self.batch_id} costs {self.price:,} credits meanwhile, {self.shown:,} were shown"


class JobsErased(DarkroomError):
    """Every failed job that is meant was erased, so that there is nothing left to order; nothing was changed."""

    error_code = "jobs_erased"

    def __init__(self, batch_id: UUID, jobs: int) -> None:
        """Keep how many."""
        super().__init__(batch_id, jobs)
        self.batch_id, self.jobs = batch_id, jobs

    def __str__(self) -> str:
        """Return the message, with the next step."""
        return (
            f"nothing to retry in batch {self.batch_id}: the prompts or references of its {self.jobs:,} failed jobs"
            " were erased; submit them as a new batch with `darkroom submit`"
        )


def expect_price(tx: Connection, batch_id: UUID, code: str | None, *, shown: int) -> None:
    """Raise PriceChanged when a retry would cost more than was shown."""
    price = failed_jobs.price(tx, batch_id, code=code)["credits"]
    if price > shown:
        raise PriceChanged(batch_id, price, shown)


def retry_jobs(tx: Connection, batch_id: UUID, code: str | None, by: Author, *, is_paused: bool) -> RetryEffect:
    """Put the failed jobs back in line; the batch, and the catalog whose images it makes, are locked."""
    prompts = failures.of_failed(tx, batch_id, code=code)
    unwanted = failed_jobs.count_unwanted(tx, batch_id, code=code)
    erased = failed_jobs.count_erased(tx, batch_id, code=code)
    recalled = failed_jobs.recall(tx, batch_id, code=code, now=by.now)
    count, price = failed_jobs.put_back(tx, batch_id, code=code)
    failed_jobs.put_back_of_catalog(tx, batch_id)
    failures.forget_all(tx, prompts)
    if count + recalled:
        what = f"{count} jobs for {price} credits, {recalled} paid images"
        changes.record(tx, by, f"batch:{batch_id}", "retried", before=code, after=what)
    session.notify(tx)
    return RetryEffect(
        jobs=count, credits=price, is_paused=is_paused, left_out=unwanted, erased=erased, recalled=recalled
    )
