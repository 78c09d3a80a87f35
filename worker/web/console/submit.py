"""Submit in the browser: lines and references are checked and priced first, and taken once, as by the HTTP API."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import Any
from uuid import UUID

import anyio
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from worker.accounts import choosing
from worker.accounts.choosing import Payers
from worker.accounts.queries import account_limits, accounts, pools
from worker.accounts.queries.accounts import AccountRow
from worker.accounts.rules import pace
from worker.batches.queries import overview, throughput
from worker.core.rules.batch_request import BatchRequest, Priority, Purpose
from worker.core.rules.fault import Fault
from worker.core.rules.models_catalogue import SizePolicy
from worker.engine.queries import batches
from worker.intake.prepare import Prepared
from worker.intake.write import TokenTaken
from worker.ledger import second_person
from worker.ledger.queries import budgets
from worker.web.api import bodies, operations
from worker.web.api import submit as api
from worker.web.api.bodies import Upload
from worker.web.api.operations import Call
from worker.web.api.schemas import SubmitQuery
from worker.web.console import batches as batch_pages
from worker.web.console import page
from worker.web.console.fields import listed
from worker.web.console.page import Visit
from worker.web.problems import Problem

PATH = "/batches/new"
_FAULTS_SHOWN = 100
_KEPT_SHOWN = 20
_FIELDS = (
    "name",
    "owner",
    "purpose",
    "priority",
    "credit_cap",
    "deadline",
    "size_policy",
    "skip_invalid",
    "pays",
    "allow_extra",
)
_OF_QUERY = tuple(name for name in _FIELDS if name not in {"pays", "allow_extra"})
_AGAIN_S, _TRIES = 0.2, 150
"""How often, and for how long, a second click waits for the first to be taken."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What the lines would become, cost and take; credits and images that are not bounded are None."""

    name: str
    owner: str
    lines: int
    bad_lines: int
    images: int
    price: int
    references: int
    faults: list[Fault]
    fault_count: int
    is_taken: bool
    """Whether it can be submitted: every line is good, or the bad ones are left out."""
    kept: tuple[str, ...]
    further_kept: int
    wallet: int | None
    """What the wallet lets all batches commit now; None: not known."""
    owner_left: int | None
    """What the owner may still commit this month; None: it has no cap."""
    account: str
    """The account whose key pays."""
    duration: str
    second_person_above: int | None
    """The batch is dearer than this and waits for a second person; None: it does not."""
    paused: str
    """Why the account does no paid work; empty: it does."""
    digest: str
    """Stands for the lines, references and settings that were checked."""

    def enough_for(self, credits_: int | None) -> int | None:
        """Return for how many of its images so many credits are enough; None: for all of them."""
        if credits_ is None or credits_ >= self.price:
            return None
        return max(0, self.images * credits_ // max(self.price, 1))


def begin(visit: Visit) -> Response:
    """Redirect to a form with its own token, which a reload keeps."""
    return page.redirect(visit.request, f"{PATH}/{visit.context.new_id()}")


def show(visit: Visit) -> Response:
    """Show the form; one that was submitted leads to its batch."""
    token = str(visit.call.id("token"))
    with visit.context.database.transaction() as tx:
        found = batches.by_token(tx, token)
    if found is not None:
        return page.redirect(visit.request, f"/batches/{found.id}")
    return _page(visit, {})


async def check(call: Call) -> Response:
    """Show what the lines would become; nothing is kept."""
    return await _handled(call, _check)


async def take(call: Call) -> Response:
    """Take the lines as one batch, once for each form, and lead to its page."""
    with ExitStack() as held:
        await _enter(held, call, str(call.id("token")))
        return await _handled(call, _take)


async def _enter(held: ExitStack, call: Call, token: str) -> None:
    """Hold the token, after the request that has it: the answer to a second click is the batch of the first."""
    for _ in range(_TRIES):
        try:
            held.enter_context(call.api.submitting(token))
        except Problem:
            await anyio.sleep(_AGAIN_S)
        else:
            return
    held.enter_context(call.api.submitting(token))


async def _handled(call: Call, work: Callable[[Visit, Upload], Response]) -> Response:
    sent: dict[str, str] = {}

    def worked(upload: Upload) -> Response:
        sent.update({name: value.decode("utf-8", "replace").strip() for name, value in upload.fields.items()})
        return work(_visit(call), upload)

    try:
        _expect_form(call)
        with call.api.uploads.taking(call.principal.actor):
            async with api.received(call, takes_fields=True) as upload:
                return await call.in_thread(lambda: worked(upload), call.api.long)
    except Problem as problem:
        error = problem
    return await call.in_thread(lambda: _page(_visit(call), sent, problem=error.detail, status=error.status))


def _expect_form(call: Call) -> None:
    bodies.expect_plain(call.request)
    if bodies.media_type(call.request) != api.PARTS_TYPE:
        raise Problem(415, "media_type_not_supported", f"send the form as {api.PARTS_TYPE}")


def _visit(call: Call) -> Visit:
    return Visit(request=call.request, who=call.principal, now=call.context.clock())


def _check(visit: Visit, upload: Upload) -> Response:
    fields = _fields(upload)
    with _prepared(visit, upload, fields, dry_run=True) as (query, request, prepared):
        return _page(visit, fields, _preview(visit, query, request, prepared))


def _take(visit: Visit, upload: Upload) -> Response:
    fields = _fields(upload)
    with _prepared(visit, upload, fields, dry_run=False) as (query, request, prepared):
        preview = _preview(visit, query, request, prepared)
        if not preview.is_taken:
            return _page(visit, fields, preview, status=422)
        if fields.get("checked") != preview.digest:
            return _page(
                visit,
                fields,
                preview,
                problem="The lines, references or settings are not those that were checked. Nothing was submitted:"
                " look at the figures below, and submit these.",
                status=409,
            )
        try:
            receipt = api.take(visit.call, query, request, prepared)
        except Problem as problem:
            raise _used(problem) from None
    answer = page.redirect(visit.request, f"/batches/{receipt.batch_id}?did=submitted")
    return _followed(answer) if visit.is_fragment else answer


def _used(problem: Problem) -> Problem:
    if problem.code != TokenTaken.error_code:
        return problem
    detail = "This form was submitted before, with other lines or settings. Load the page again to see its batch."
    return Problem(409, problem.code, detail)


def _followed(answer: Response) -> Response:
    """Return the redirect for a script that sent the form and moves the page itself."""
    assert isinstance(answer, RedirectResponse)
    return Response(status_code=204, headers={"HX-Redirect": answer.headers["location"]})


def _fields(upload: Upload) -> dict[str, str]:
    found = {name: value.decode("utf-8", "replace").strip() for name, value in upload.fields.items()}
    return {name: value.replace("\0", "") for name, value in found.items() if value}


@contextmanager
def _prepared(
    visit: Visit, upload: Upload, fields: Mapping[str, str], *, dry_run: bool
) -> Iterator[tuple[SubmitQuery, BatchRequest, Prepared]]:
    """Yield the checked lines; raise Problem for settings that cannot be, or when nothing can be read."""
    given: dict[str, Any] = {name: fields[name] for name in _OF_QUERY if name in fields}
    kind, _, name = fields.get("pays", "").partition(":")
    if kind not in {"", "account", "pool"}:
        raise Problem(422, "request_invalid", "Choose an account, a pool, or neither.")
    given |= {kind: name} if kind else {}
    given["allow_extra"] = listed(fields.get("allow_extra", "")) or None
    given["credit_cap"] = fields.get("credit_cap", "").replace(",", "") or None
    query = operations.parsed(SubmitQuery, {**given, "dry_run": dry_run}, "form")
    assert isinstance(query, SubmitQuery)
    wanted = {
        **query.model_dump(exclude_none=True, exclude={"dry_run", "skip_invalid"}),
        "name": query.name or PurePath(upload.manifest_name).name.partition(".")[0] or None,
        "owner": query.owner or visit.who.name,
    }
    if not upload.manifest_name:
        raise Problem(422, "part_missing", "Choose the file with the lines.")
    request = api.request_of(visit.call, wanted, str(visit.call.id("token")))
    sent = api.Submitted(fields=wanted, rows=api.rows_of(upload), files=upload.files)
    prepared = api.prepare_lines(visit.call, query, request, sent)
    try:
        yield query, request, prepared
    finally:
        prepared.spool.close()


def _preview(visit: Visit, query: SubmitQuery, request: BatchRequest, prepared: Prepared) -> Preview:
    above = visit.context.settings.approve_above
    content = f"{prepared.spool.content_hash}:{api.fields_hash(query, request)}:{prepared.credits}"
    with visit.context.database.transaction() as tx:
        payers = choosing.payers_of(tx, request, jobs=prepared.jobs, default=visit.context.account_id)
        bounds = _bounds(visit, tx, request, payers)
        measured = throughput.of_accounts(tx, _open_accounts(payers))
    return Preview(
        name=request.name,
        owner=request.owner,
        lines=prepared.jobs + prepared.faults.lines,
        bad_lines=prepared.faults.lines,
        images=prepared.jobs,
        price=prepared.credits,
        references=len(prepared.referring),
        faults=list(islice(prepared.faults, _FAULTS_SHOWN)),
        fault_count=len(prepared.faults),
        is_taken=prepared.jobs > 0 and (query.skip_invalid or not prepared.faults),
        kept=prepared.kept[:_KEPT_SHOWN],
        further_kept=max(0, len(prepared.kept) - _KEPT_SHOWN),
        duration=batch_pages.duration(measured, prepared.jobs, uploads=len(prepared.referring)),
        second_person_above=above if second_person.is_dear(prepared.credits, above) else None,
        digest=hashlib.sha256(content.encode()).hexdigest(),
        **bounds,
    )


def _open_accounts(payers: Payers) -> list[UUID]:
    """Return the accounts that work on the batch at present: those of a pool that are not paused, else the one."""
    return [each.account_id for each in payers.accounts if each.is_open] or [payers.account_id]


def _bounds(visit: Visit, tx: Connection, request: BatchRequest, payers: Payers) -> dict[str, Any]:
    """Return who pays, what the wallets and the owner's month allow, and why the account is paused."""
    settings, now = visit.context.settings, visit.now
    found = [accounts.read(tx, account_id) for account_id in _open_accounts(payers)]
    paying = [account for account in found if account is not None]
    wallets = [_spendable(visit, account) for account in paying]
    cap = budgets.owner_cap(tx, request.owner)
    paused = ""
    if len(paying) == 1 and (reason := paying[0].pause_reason) is not None:
        step = overview.next_step_of(reason, account=paying[0].name)
        paused = f"The account is paused ({reason}): the batch waits. Next step: {step}"
    return {
        "account": ", ".join(account.name for account in paying) or settings.account,
        "wallet": None if None in wallets or not wallets else sum(each for each in wallets if each is not None),
        "owner_left": None if cap is None else cap - budgets.committed_by_owner(tx, request.owner, now=now),
        "paused": paused,
    }


def _spendable(visit: Visit, account: AccountRow) -> int | None:
    """Return the credits of an account's wallet above its floor; None: not known at present."""
    settings = visit.context.settings.of_account(account.name) or visit.context.settings
    return pace.spendable_credits(
        left=account.wallet_left, read_at=account.wallet_read_at, floor=settings.wallet_floor, now=visit.now
    )


def _page(
    visit: Visit, fields: Mapping[str, str], preview: Preview | None = None, *, problem: str = "", status: int = 200
) -> Response:
    with visit.context.database.transaction() as tx:
        named, offered = account_limits.names(tx), pools.names(tx)
    return visit.render(
        "submit.html",
        status=status,
        token=visit.call.id("token"),
        fields={name: fields.get(name, "") for name in _FIELDS},
        preview=preview,
        problem=problem,
        purposes=[each.value for each in Purpose],
        priorities=[each.value for each in Priority],
        size_policies=[each.value for each in SizePolicy],
        accounts=named,
        pools=offered,
    )
