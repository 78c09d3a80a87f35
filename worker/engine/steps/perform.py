"""One ticket done, with what follows it at once in the same process."""

from collections.abc import Callable, Mapping
from typing import Final

from worker.core.rules.states import StepKind
from worker.engine.queries.steps import Ticket
from worker.engine.services import Services
from worker.engine.steps import collect, crashes, poll, scope, submit, upload

STEPS: Final[Mapping[StepKind, Callable[[Services, Ticket], None]]] = {
    StepKind.UPLOAD: upload.run,
    StepKind.SUBMIT: submit.run,
    # A poll that finds the end goes on to download the image.
    StepKind.POLL: lambda services, ticket: poll.run(services, ticket, collect.hand_over),
    StepKind.COLLECT: collect.run,
}


def attempt(services: Services, ticket: Ticket) -> None:
    """Do the step of a ticket; a crash of our own code is recorded, and never keeps the next step from being done."""
    began = services.clock()
    scope.of_ticket(services, ticket, lambda: crashes.of_ticket(services, ticket, lambda: perform(services, ticket)))
    services.meters.stepped(ticket.kind, services.clock() - began)


def perform(services: Services, ticket: Ticket) -> None:
    """Do the step of a ticket."""
    STEPS[ticket.kind](services, ticket)
