"""`darkroom catalog`: a catalog's images, kept fresh for a known price, and looked at before they go live."""

import typer

from worker.cli import (
    catalog_apply,
    catalog_decide,
    catalog_hook,
    catalog_import,
    catalog_plan,
    catalog_review,
    catalog_sheet,
    catalog_show,
    catalog_show_plan,
)

app = typer.Typer(no_args_is_help=True, help="Keep a catalog's images fresh: plan, apply, review, publish.")


@app.callback()
def _group() -> None:
    """Keep a catalog's images fresh: plan, apply, review, publish."""


app.command(name="import")(catalog_import.import_)
app.command()(catalog_plan.plan)
app.command()(catalog_apply.apply)
app.command()(catalog_apply.approve)
app.command()(catalog_apply.refuse)
app.command()(catalog_show.show)
app.command(name="show-plan")(catalog_show_plan.show_plan)
app.command(name="list")(catalog_show.list_)
app.command()(catalog_sheet.sheet)
app.command()(catalog_decide.decide)
catalog_review.register(app)
app.add_typer(catalog_hook.app, name="hook")
