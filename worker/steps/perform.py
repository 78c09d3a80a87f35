"""One ticket done, with what follows it at once in the same process."""

from collections.abc import Callable, Sequence

from worker.db.steps import Ticket
from worker.domain.step import StepKind
from worker.services import Services
from worker.steps import collect, poll, submit, upload


def begin(services: Services, tickets: Sequence[Ticket]) -> list[Callable[[], None]]:
    """Give what to do of each ticket when its slot begins.

    Polls are claimed at once, all of them together. A step that pays is claimed when it is done, not before: until then
    its job can be cancelled.
    """
    return [_begun(services, ticket) for ticket in tickets]


def perform(services: Services, ticket: Ticket) -> None:
    """Do the step of a ticket; a poll that finds the end goes on to bring the image home."""
    for do in begin(services, [ticket]):
        do()


def _begun(services: Services, ticket: Ticket) -> Callable[[], None]:
    match ticket.kind:
        case StepKind.UPLOAD:
            return lambda: upload.run(services, ticket)
        case StepKind.SUBMIT:
            return lambda: submit.run(services, ticket)
        case StepKind.POLL:
            claimed = poll.claim(services, ticket)
            return lambda: poll.run(services, claimed.result(), collect.hand_over)
        case StepKind.COLLECT:
            return lambda: collect.run(services, ticket)
