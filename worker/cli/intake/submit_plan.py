"""What `darkroom submit --dry-run` prints: the plan of a batch, of which nothing is stored."""

from typing import Any

from worker.batches import views
from worker.cli import output
from worker.cli.batches import forecast as forecasts
from worker.cli.batches.forecast import Forecast
from worker.cli.context import Context
from worker.cli.intake import manifests
from worker.core.rules.batch_request import BatchRequest
from worker.intake.prepare import Prepared


def show(context: Context, request: BatchRequest, prepared: Prepared, *, as_json: bool) -> None:
    """Print lines, references, price, wallet and duration."""
    found = _forecast(context, prepared)
    if as_json:
        output.print_json_with(_as_json(request, prepared, found), "faults", map(views.fault, prepared.faults))
        return
    console = output.answers()
    plan = _lines(prepared, found)
    width = max(map(len, plan)) + 2
    for label, value in plan.items():
        console.print(f"{label:<{width}}{value}", markup=False)
    console.print("Nothing was submitted; the same command without --dry-run does it.")


def lines(context: Context, prepared: Prepared) -> dict[str, str]:
    """Return the plan of a batch (lines, credits, duration) as labels and values."""
    return _lines(prepared, _forecast(context, prepared))


def _forecast(context: Context, prepared: Prepared) -> Forecast:
    uploads = len(prepared.referring)
    return forecasts.forecast(context, price=prepared.credits, images=prepared.jobs, uploads=uploads)


def _lines(prepared: Prepared, found: Forecast) -> dict[str, str]:
    bad = prepared.faults.lines
    left_out = f", {output.plural(bad, 'bad one')} left out" if bad else ""
    return {
        "lines": f"{prepared.jobs + bad:,} ({prepared.jobs:,} good{left_out})",
        "jobs": f"{prepared.jobs:,}",
        "references": f"{len(prepared.referring):,} different",
        "credits": f"{prepared.credits:,}",
        "wallet": forecasts.wallet_line(found),
        "duration": forecasts.duration_line(found),
        **({"kept, not used": manifests.kept(prepared.kept)} if prepared.kept else {}),
    }


def _as_json(request: BatchRequest, prepared: Prepared, found: Forecast) -> dict[str, Any]:
    return {
        "batch": None,
        "token": request.token,
        "name": request.name,
        "state": "dry_run",
        "lines": prepared.jobs + prepared.faults.lines,
        "bad_lines": prepared.faults.lines,
        "jobs": prepared.jobs,
        "credits": prepared.credits,
        "references": len(prepared.referring),
        **forecasts.as_json(found),
        "kept_not_used": list(prepared.kept),
        "is_new": False,
    }
