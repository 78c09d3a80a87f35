"""What is in doubt: the evidence, and the three decisions, each with a reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from starlette.responses import Response

from worker.audit import resolve
from worker.audit.queries import in_doubt
from worker.audit.queries.in_doubt import InDoubt, Said, WalletReading
from worker.audit.rules.dispute_decision import Signature
from worker.core.rules.errors import ProviderError
from worker.engine.queries import calls
from worker.engine.queries.calls import LoggedCall
from worker.web.api.operations import not_found
from worker.web.console import page
from worker.web.console.page import Visit
from worker.web.problems import Problem
from worker.web.rules import cursor, wording

_PAGE = 10
_CALLS_SHOWN = 8
"""Of each generation, its newest: one that was asked about for days has thousands."""
DONE_BY = {"charged": "charged", "not-charged": "not-charged", "adopt": "adopted"}
DONE = {
    "charged": "Decided: it was charged. Its credits are spent, and its job has failed without an image.",
    "adopted": "Decided: it is that task. Its end is asked for, and its image is downloaded when there is one.",
    "not-charged": "Decided: it was not charged. Its credits are free again, and its job can be retried.",
}


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """One generation in doubt with its evidence."""

    row: InDoubt
    wallet: list[WalletReading]
    said: Said | None
    calls: list[LoggedCall]

    @property
    def newest_calls(self) -> list[LoggedCall]:
        """The calls that the page lists."""
        return self.calls[-_CALLS_SHOWN:]

    @property
    def task(self) -> str:
        """The provider's task that it may be, by its own answers; empty when none was ever named."""
        return self.row.provider_id or next((each.provider_id for each in self.calls if each.provider_id), "")

    @property
    def wallet_fell(self) -> int | None:
        """By how much the wallet fell between the readings around its sending; None: not both are there."""
        return self.wallet[0].credits - self.wallet[1].credits if len(self.wallet) > 1 else None


def show(visit: Visit) -> Response:
    """Show a page of the doubts, the oldest first."""
    after = _place(visit.asked("after"))
    with visit.context.database.transaction() as tx:
        count, credits_ = in_doubt.total(tx)
        found = in_doubt.oldest(tx, limit=_PAGE + 1, after=after)
        rows = found[:_PAGE]
        wallets = in_doubt.wallet_around(tx, rows)
        said = in_doubt.last_said(tx, [row.generation_id for row in rows])
        sent = {row.generation_id: calls.for_generation(tx, row.generation_id) for row in rows}
    shown = [
        Doubt(
            row=row,
            wallet=wallets[row.generation_id],
            said=said.get(row.generation_id),
            calls=sent[row.generation_id],
        )
        for row in rows
    ]
    return visit.render(
        "in_doubt.html",
        doubts=shown,
        count=count,
        credits=credits_,
        did=DONE.get(visit.asked("did"), ""),
        is_first=after == in_doubt.BEFORE_ALL,
        following=cursor.encode(rows[-1].doubted_at.isoformat(), rows[-1].generation_id) if found[_PAGE:] else None,
    )


def _place(text: str) -> tuple[datetime, UUID]:
    """Return where a page begins; raise Problem for a place that no page has named."""
    if not text:
        return in_doubt.BEFORE_ALL
    try:
        at, generation_id = cursor.decode(text, parts=2)
        found = datetime.fromisoformat(at), UUID(generation_id)
    except ValueError:
        found = None
    if found is None or found[0].tzinfo is None:
        raise Problem(404, "not_found", "This place of the list is not known: begin at the oldest doubt.")
    return found


def decide(visit: Visit, fields: Mapping[str, str]) -> Response:
    """Carry out one decision; an expensive one waits for a second person, as with the command."""
    generation_id, decision = _id(visit), fields.get("decision", "")
    if decision not in DONE_BY:
        raise Problem(422, "request_invalid", f"A decision is one of {', '.join(DONE_BY)}.")
    if not fields.get("reason"):
        raise Problem(422, "request_invalid", "A decision about money needs a reason.")
    by = visit.context.author(visit.who, fields["reason"])
    signature = Signature(actor=by.actor, reason=fields["reason"])
    database, above = visit.context.database, visit.context.settings.approve_above
    if decision == "adopt":
        _adopt(visit, generation_id, signature, fields)
    elif decision == "charged":
        resolve.charged(
            database,
            generation_id,
            _charged(fields),
            signature,
            new_id=by.new_id,
            now=by.now,
            approve_above=above,
            may_exceed=bool(fields.get("over")),
        )
    else:
        resolve.not_charged(database, generation_id, signature, new_id=by.new_id, now=by.now, approve_above=above)
    return page.redirect(visit.request, f"/in-doubt?did={DONE_BY[decision]}")


def _adopt(visit: Visit, generation_id: UUID, signature: Signature, fields: Mapping[str, str]) -> None:
    """Go on with the provider's task as with this generation; the provider is asked for it first."""
    if not fields.get("task"):
        raise Problem(422, "request_invalid", "Say which task of the provider it is.")
    try:
        with visit.context.provider() as services:
            resolve.adopt(services, generation_id, fields["task"], signature, may_be_misdated=bool(fields.get("force")))
    except ProviderError as error:
        raise Problem(502, error.error_code, f"The provider did not tell about the task: {error}") from None


def _id(visit: Visit) -> UUID:
    try:
        return UUID(visit.request.path_params["generation_id"])
    except ValueError:
        raise not_found("generation") from None


def _charged(fields: Mapping[str, str]) -> int:
    """Return how many credits were charged."""
    digits = fields.get("credits", "").replace(",", "")
    if not (digits.isascii() and digits.isdigit()) or not 0 < int(digits) < 2**31:
        raise Problem(422, "request_invalid", f"Say how many credits were charged: 1 to {wording.number(2**31 - 1)}.")
    return int(digits)
