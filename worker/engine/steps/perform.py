"""One ticket done, with what follows it at once in the same process."""

from worker.core.rules.step import StepKind
from worker.engine.queries.steps import Ticket
from worker.engine.services import Services
from worker.engine.steps import collect, crashes, poll, submit, upload


def attempt(services: Services, ticket: Ticket) -> None:
    """Do the step of a ticket; a crash of our own code is recorded, and never keeps the next step from being done."""
    crashes.of_ticket(services, ticket, lambda: perform(services, ticket))


def perform(services: Services, ticket: Ticket) -> None:
    """Do the step of a ticket; a poll that finds the end goes on to download the image."""
    match ticket.kind:
        case StepKind.UPLOAD:
            upload.run(services, ticket)
        case StepKind.SUBMIT:
            submit.run(services, ticket)
        case StepKind.POLL:
            poll.run(services, ticket, collect.hand_over)
        case StepKind.COLLECT:
            collect.run(services, ticket)
