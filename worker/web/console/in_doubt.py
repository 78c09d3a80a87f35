"""What is in doubt: the evidence, and the two decisions, each with a reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from starlette.responses import Response

from worker.audit import resolve
from worker.audit.queries import in_doubt
from worker.audit.queries.in_doubt import InDoubt, Said, WalletReading
from worker.audit.rules.dispute_decision import NotInDoubt, Signature, TooMuch
from worker.core.rules.errors import DarkroomError
from worker.web.api.operations import not_found
from worker.web.console import page
from worker.web.console.page import Visit
from worker.web.problems import Problem
from worker.web.rules import wording

_PAGE = 20
DONE = {
    "charged": "Decided: it was charged. Its credits are spent, and its job has failed without an image.",
    "not-charged": "Decided: it was not charged. Its credits are free again, and its job can be asked for again.",
}


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """One generation in doubt with its evidence."""

    row: InDoubt
    wallet: list[WalletReading]
    said: Said | None

    @property
    def wallet_fell(self) -> int | None:
        """By how much the wallet fell between the readings around its sending; None: not both are there."""
        return self.wallet[0].credits - self.wallet[1].credits if len(self.wallet) > 1 else None


def show(visit: Visit) -> Response:
    """Show the oldest doubts."""
    with visit.context.database.transaction() as tx:
        count, credits_ = in_doubt.total(tx)
        rows = in_doubt.oldest(tx, limit=_PAGE)
        wallets = in_doubt.wallet_around(tx, rows)
        said = in_doubt.last_said(tx, [row.generation_id for row in rows])
    shown = [Doubt(row=row, wallet=wallets[row.generation_id], said=said.get(row.generation_id)) for row in rows]
    return visit.render(
        "in_doubt.html",
        doubts=shown,
        count=count,
        credits=credits_,
        did=DONE.get(visit.asked("did"), ""),
    )


def decide(visit: Visit, fields: Mapping[str, str]) -> Response:
    """Carry one decision out; what is dear waits for a second person, as with the command."""
    generation_id, charged = _id(visit), _charged(fields)
    if not fields.get("reason"):
        raise Problem(422, "request_invalid", "A decision about money needs a reason.")
    by = visit.context.author(visit.who, fields["reason"])
    signature = Signature(actor=by.actor, reason=fields["reason"])
    database, above = visit.context.database, visit.context.settings.approve_above
    try:
        if charged is None:
            resolve.not_charged(database, generation_id, signature, new_id=by.new_id, now=by.now, approve_above=above)
        else:
            resolve.charged(
                database, generation_id, charged, signature, new_id=by.new_id, now=by.now, approve_above=above
            )
    except (NotInDoubt, TooMuch) as error:
        raise _refused(error) from None
    return page.redirect(visit.request, f"/in-doubt?did={'not-charged' if charged is None else 'charged'}")


def _refused(error: DarkroomError) -> Problem:
    return Problem(409, error.error_code, error.explanation())


def _id(visit: Visit) -> UUID:
    try:
        return UUID(visit.request.path_params["generation_id"])
    except ValueError:
        raise not_found("generation") from None


def _charged(fields: Mapping[str, str]) -> int | None:
    """Return how many credits were charged; None: nothing was."""
    if fields.get("decision") == "not-charged":
        return None
    digits = fields.get("credits", "").replace(",", "")
    if (
        fields.get("decision") != "charged"
        or not (digits.isascii() and digits.isdigit())
        or not 0 < int(digits) < 2**31
    ):
        raise Problem(422, "request_invalid", f"Say how many credits were charged: 1 to {wording.number(2**31 - 1)}.")
    return int(digits)
