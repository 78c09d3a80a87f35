"""`darkroom submit`: a manifest becomes a batch, whole or not at all."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output, spending
from worker.cli.batches.limits import DeadlineOption
from worker.core.rules.batch_request import Priority, Purpose
from worker.intake.manifest.source import Form

if TYPE_CHECKING:
    from worker.cli.context import Context
    from worker.core.rules.batch_request import BatchRequest
    from worker.intake.prepare import Prepared
    from worker.intake.write import Receipt


_OPTIONS = {"size_policy": "size"}
"""Options that are not called as the field of a batch is."""


def submit(  # noqa: PLR0917 - typer gives each by its name
    manifest: Annotated[str, typer.Argument(metavar="MANIFEST", help="A CSV or JSONL file; - is standard input.")],
    name: Annotated[str | None, typer.Option(help="The batch's name. [default: the file's name]")] = None,
    owner: Annotated[str | None, typer.Option(help="Who pays for its credits. [default: the user]")] = None,
    purpose: Annotated[Purpose, typer.Option(help="What it is for.")] = Purpose.BULK,
    priority: Annotated[Priority | None, typer.Option(help="Its priority class. [default: by purpose]")] = None,
    credit_cap: Annotated[int | None, typer.Option(min=0, help="Most credits that the batch may commit.")] = None,
    deadline: DeadlineOption = None,
    token: Annotated[
        str | None, typer.Option(help="Your own id of this submission; submitting the same token again adds nothing.")
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave invalid lines out instead of rejecting the manifest.")
    ] = False,
    faults: Annotated[
        Path | None,
        typer.Option(help="Write every fault here, as .csv or .jsonl. [default: if many, MANIFEST.faults.csv]"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check, and print the plan; nothing is stored.")
    ] = False,
    yes: spending.YesOption = False,
    max_credits: spending.MaxCreditsOption = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the batch until it is done; exit status 1 if a job failed.")
    ] = False,
    form: Annotated[Form | None, typer.Option("--format", help="The manifest's form. [default: by its name]")] = None,
    allow_extra: output.AllowExtra = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="POLICY",
            help="Images of another size than was ordered: accept, flag (the default) or refuse-to-publish.",
        ),
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="The account that pays. [default: the owner's, else DARKROOM_ACCOUNT]")
    ] = None,
    pool: Annotated[str | None, typer.Option(help="Instead: spread the jobs over the accounts of this pool.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Check a manifest and submit it as one batch."""
    from worker import wiring
    from worker.cli.context import resolve
    from worker.cli.intake import manifests, submit_plan

    console = output.notes()
    if faults is not None:
        manifests.check_name(faults)
    request = _request(
        name=name or _name_of(manifest),
        owner=owner or _user(),
        token=token,
        purpose=purpose,
        priority=priority,
        credit_cap=credit_cap,
        deadline=deadline,
        size_policy=size,
        account=account,
        pool=pool,
        allow_extra=allow_extra,
        traceparent=os.environ.get("TRACEPARENT"),
    )
    context = resolve(needs_database=not dry_run)
    store = None if dry_run else wiring.store(context.settings, wiring.database(context.settings, connections=1))
    prepared = manifests.check(manifest, form, store=store, console=console, extra=request.allow_extra)
    if prepared.faults and not as_json:
        manifests.show_faults(prepared.faults, console)
    if faults is not None or not as_json:
        manifests.keep_faults(prepared.faults, manifest, faults, console)
    if (prepared.faults and not skip_invalid) or not prepared.jobs:
        _refuse(request, prepared, skip_invalid=skip_invalid, as_json=as_json)
    if dry_run:
        submit_plan.show(context, request, prepared, as_json=as_json)
        return
    _ask(context, prepared, spending.Consent(yes=yes, max_credits=max_credits))
    receipt = write(context, request, prepared)
    _finish(context, request, receipt, wait=wait, as_json=as_json)


def _ask(context: "Context", prepared: "Prepared", consent: spending.Consent) -> None:
    """Show what it costs before anything is written; raise CliError when the answer is no."""
    from worker.cli.errors import CliError
    from worker.cli.intake import submit_plan

    lines = {} if context.is_play else submit_plan.lines(context, prepared)
    if not spending.is_permitted(
        context, output.plural(prepared.jobs, "image"), prepared.credits, consent, lines=lines
    ):
        raise CliError("nothing was submitted")


def write(context: "Context", request: "BatchRequest", prepared: "Prepared") -> "Receipt":
    """Write the batch in one transaction of its own."""
    from worker import wiring
    from worker.cli import signing
    from worker.intake.write import tell, write

    database = wiring.database(context.settings, connections=1)
    account_id = wiring.account(context.settings, database)
    with database.bulk_transaction() as tx:
        receipt = write(
            tx,
            request,
            prepared,
            account_id=account_id,
            now=wiring.clock(),
            new_id=wiring.new_id,
            by=signing.actor(None),
            approve_above=context.settings.approve_above,
        )
    tell(receipt)
    return receipt


def _finish(
    context: "Context",
    request: "BatchRequest",
    receipt: "Receipt",
    *,
    wait: bool,
    as_json: bool,
) -> None:
    from worker import wiring
    from worker.batches import views
    from worker.cli import lookup
    from worker.cli.batches.watch import exit_code, follow
    from worker.cli.health import serving

    database = wiring.database(context.settings, connections=1)
    answer = _receipt_as_json(request, receipt)
    faults = map(views.fault, receipt.faults)
    if not as_json:
        _say_receipt(context, request, receipt, wait=wait)
        serving.warn_without_node(context, database)
    if not wait:
        if as_json:
            output.print_json_with(answer | {"nodes": serving.count(database)}, "faults", faults)
        return
    with database.transaction() as tx:
        row = lookup.batch(tx, str(receipt.batch_id))
    found = follow(context, database, row)
    if as_json:
        final = views.batch(found)
        output.print_json_with(answer | {"state": final["state"], "final": final}, "faults", faults)
    raise typer.Exit(exit_code(found))


def _request(**fields: Any) -> "BatchRequest":
    from worker.cli.errors import MISUSED, CliError
    from worker.core.rules.batch_request import validate_batch

    found = validate_batch(fields)
    if isinstance(found, tuple):
        options = (_OPTIONS.get(fault.field, fault.field.replace("_", "-")) for fault in found)
        reasons = (f"--{option} {fault.reason}" for option, fault in zip(options, found, strict=True))
        raise CliError("; ".join(reasons), MISUSED)
    return found


def _refuse(request: "BatchRequest", prepared: "Prepared", *, skip_invalid: bool, as_json: bool) -> None:
    from worker.batches import views
    from worker.cli.errors import CliError

    if as_json:
        refused = {"batch": None, "token": request.token, "name": request.name, "state": "refused"}
        counts = {"jobs": 0, "credits": 0, "is_new": False}
        output.print_json_with(refused | counts, "faults", map(views.fault, prepared.faults))
    if skip_invalid:
        raise CliError("nothing was submitted: no line of the manifest is valid")
    raise CliError(
        f"nothing was submitted: {output.plural(prepared.faults.lines, 'invalid line')}. Fix them, or leave"
        " them out with --skip-invalid"
    )


def _say_receipt(context: "Context", request: "BatchRequest", receipt: "Receipt", *, wait: bool) -> None:
    from worker.cli.intake import manifests

    console = output.answers()
    size = f"{output.plural(receipt.jobs, 'job')}, {output.credits_of(receipt.credits, is_play=context.is_play)}"
    if not receipt.is_new:
        console.print(f"batch {receipt.batch_id} has this token already ({size}); nothing was added.", markup=False)
    elif context.is_play:
        console.print(f"batch {receipt.batch_id}: {size}, which cost nothing.", markup=False)
    else:
        paying = context.settings.of_account(request.account or context.settings.account) or context.settings
        console.print(f"batch {receipt.batch_id}: {size}, paid at {paying.base_url}.", markup=False)
    if receipt.is_new and receipt.state == "paused":
        console.print(
            "It needs a second person (DARKROOM_APPROVE_ABOVE) and is paused until another one runs"
            f" `darkroom resume {receipt.batch_id}`.",
            markup=False,
        )
    if receipt.kept:
        console.print(f"Kept for the results, not used: {manifests.kept(receipt.kept)}.", markup=False)
    if not wait:
        console.print(f"Follow it with `darkroom watch {receipt.batch_id}`.", markup=False)


def _receipt_as_json(request: "BatchRequest", receipt: "Receipt") -> dict[str, Any]:
    return {
        "batch": str(receipt.batch_id),
        "token": receipt.token,
        "name": request.name,
        "state": receipt.state.value,
        "jobs": receipt.jobs,
        "credits": receipt.credits,
        "is_new": receipt.is_new,
        "kept_not_used": list(receipt.kept),
    }


def _name_of(manifest: str) -> str:
    # A file's name may be any bytes; the name of a batch is text.
    text = manifest.encode(errors="replace").decode()
    return "stdin" if manifest == "-" else Path(text).name.split(".", 1)[0] or "unnamed"


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "nobody"
