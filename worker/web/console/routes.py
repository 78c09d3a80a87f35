"""The pages of the console and their places in the navigation."""

from starlette.routing import BaseRoute

from worker.web.console import (
    assets,
    audit_log,
    batch,
    batch_actions,
    batches,
    catalogs,
    downloads,
    home,
    in_doubt,
    job,
    money,
    operations,
    page,
    pictures,
    plan,
    review,
    schedules,
    search,
    settings,
    submit,
    thumbnails,
)
from worker.web.console.page import Entry
from worker.web.rules.identity import Right

NAVIGATION = (
    Entry(path="/", label="Home", icon="home"),
    Entry(path="/batches", label="Batches", icon="batches"),
    Entry(path="/search", label="Search", icon="search"),
    Entry(path="/operations", label="Bulk actions", icon="operations"),
    Entry(path="/in-doubt", label="In doubt", icon="doubt"),
    Entry(path="/money", label="Money", icon="money", right=Right.FINANCE),
    Entry(path="/catalogs", label="Catalogs", icon="catalog"),
    Entry(path="/schedules", label="Schedules", icon="schedule"),
    Entry(path="/audit-log", label="Audit log", icon="audit", right=Right.FINANCE),
    Entry(path="/settings", label="Settings", icon="settings", right=Right.ADMIN),
)


def routes() -> list[BaseRoute]:
    """Return every page."""
    page.navigation(NAVIGATION)
    return [
        page.page("/", home.show),
        page.page("/batches", batches.show),
        page.page("/batches/new", submit.begin, Right.SUBMIT),
        page.page("/batches/new/{token}", submit.show, Right.SUBMIT),
        page.stream("/batches/new/{token}", submit.take, Right.SUBMIT, method="POST"),
        page.stream("/batches/new/{token}/check", submit.check, Right.SUBMIT, method="POST"),
        page.page("/batches/{batch_id}", batch.show),
        page.stream("/batches/{batch_id}/results.jsonl", downloads.as_lines),
        page.stream("/batches/{batch_id}/results.csv", downloads.as_csv),
        page.form("/batches/{batch_id}/pause", batch_actions.pause, Right.CONTROL),
        page.form("/batches/{batch_id}/resume", batch_actions.resume, Right.CONTROL),
        page.form("/batches/{batch_id}/cancel", batch_actions.cancel, Right.CONTROL),
        page.form("/batches/{batch_id}/retry", batch_actions.retry, Right.CONTROL),
        page.form("/batches/{batch_id}/cap", batch_actions.cap, Right.FINANCE),
        page.page("/jobs/{job_id}", job.show),
        page.page("/jobs/{job_id}/thumbnail/{sha256}", thumbnails.show),
        page.page("/search", search.show),
        page.page("/operations", operations.show),
        page.form("/operations", operations.create, Right.CONTROL),
        page.page("/operations/{operation_id}", operations.show_one),
        page.form("/operations/{operation_id}/start", operations.start, Right.CONTROL),
        page.form("/operations/{operation_id}/cancel", operations.cancel, Right.CONTROL),
        page.page("/in-doubt", in_doubt.show),
        page.form("/in-doubt/{generation_id}", in_doubt.decide, Right.DECIDE),
        page.page("/money", money.show, Right.FINANCE),
        page.stream("/money/report", money.download, Right.FINANCE),
        page.page("/catalogs", catalogs.show),
        page.form("/catalogs/{name:path}/plan", plan.make, Right.SUBMIT),
        page.page("/plans/{plan_id}", plan.show),
        page.form("/plans/{plan_id}/approve", plan.approve, Right.FINANCE),
        page.form("/plans/{plan_id}/refuse", plan.refuse, Right.FINANCE),
        page.form("/plans/{plan_id}/apply", plan.apply, Right.SUBMIT),
        *review.routes(),
        *pictures.routes(),
        page.page("/schedules", schedules.show),
        page.page("/audit-log", audit_log.show, Right.FINANCE),
        page.page("/settings", settings.show, Right.ADMIN),
        *assets.routes(),
    ]
