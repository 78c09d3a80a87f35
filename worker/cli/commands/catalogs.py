"""The groups ``darkroom catalog`` and ``darkroom schedule``."""

from worker.cli.lazy import Command, Group

_PANEL = "Catalogs"

CATALOG = Group(
    name="catalog",
    summary="Keep a catalog's images fresh: plan, apply, review, publish.",
    panel=_PANEL,
    hints={"hook": "Add a hook with `darkroom hook add URL|COMMAND --event image.live --catalog NAME`."},
    commands=(
        Command(
            name="import",
            target="catalog.importing:import_",
            summary="Replace a catalog's items with those of a file or a query, and show the changes. Spends nothing.",
            examples=(
                "darkroom catalog import shop items.csv --recipe recipe.toml",
                "darkroom catalog import shop items.jsonl",
            ),
        ),
        Command(
            name="plan",
            target="catalog.plan:plan",
            summary="Show what would be rendered and why, the exact price, and the wallet after it. Spends nothing.",
            examples=("darkroom catalog plan shop", "darkroom catalog plan shop --older-than 90 --out plan.json"),
        ),
        Command(
            name="apply",
            target="catalog.apply:apply",
            summary="Render what a plan lists, once; refused when the catalog has changed since the plan was made.",
            examples=("darkroom catalog apply PLAN", "darkroom catalog apply PLAN --json"),
        ),
        Command(
            name="approve",
            target="catalog.apply:approve",
            summary="Approve a plan; above the recipe's threshold, the approver must not be its author.",
            examples=("darkroom catalog approve PLAN --by mia", "darkroom catalog approve PLAN --by mia --json"),
        ),
        Command(
            name="refuse",
            target="catalog.apply:refuse",
            summary="Reject a plan: it can no longer be approved or applied, and a run that waits for it ends.",
            examples=(
                "darkroom catalog refuse PLAN --by mia --reason 'too expensive'",
                "darkroom catalog refuse PLAN --by mia --reason late",
            ),
        ),
        Command(
            name="show",
            target="catalog.show:show",
            summary="Show one catalog: its recipe, where its items stand, and its newest plans.",
            examples=("darkroom catalog show shop", "darkroom catalog show shop --json"),
        ),
        Command(
            name="show-plan",
            target="catalog.show:show_plan",
            summary="Show a saved plan: price, reasons, prompts, and the words that differ.",
            examples=("darkroom catalog show-plan PLAN", "darkroom catalog show-plan PLAN --json"),
        ),
        Command(
            name="list",
            target="catalog.show:list_",
            summary="List the catalogs.",
            examples=("darkroom catalog list", "darkroom catalog list --json"),
        ),
        Command(
            name="remove",
            target="catalog.importing:remove",
            summary="Remove a catalog and refuse its open plans. Images, history and ledger stay on record.",
            examples=("darkroom catalog remove shop", "darkroom catalog remove shop --yes --json"),
        ),
        Command(
            name="sheet",
            target="catalog.decide:sheet",
            summary="Write HTML pages of the images that wait for review: old beside new, keys to accept and reject.",
            examples=("darkroom catalog sheet shop", "darkroom catalog sheet shop --zip review.zip"),
        ),
        Command(
            name="decide",
            target="catalog.decide:decide",
            summary="Apply decisions: publish the accepted images together, and save a plan of the rejected ones.",
            examples=(
                "darkroom catalog decide shop decisions.json --by mia",
                "darkroom catalog decide shop --reject chair-7 --reason 'too dark' --by mia",
            ),
        ),
        Command(
            name="rollback",
            target="catalog.review:rollback",
            summary="Show an older image again, or what all items showed at an earlier time. Spends nothing.",
            examples=(
                "darkroom catalog rollback shop --to 2026-11-22T08:00+01:00 --by mia",
                "darkroom catalog rollback shop --to IMAGE --sku chair-7 --by mia",
            ),
        ),
        Command(
            name="history",
            target="catalog.review:history",
            summary="List every image of an item that was live or rejected, who decided it and why.",
            examples=("darkroom catalog history shop chair-7", "darkroom catalog history shop chair-7 --json"),
        ),
        Command(
            name="export",
            target="catalog.review:export",
            summary="Write what is live, or every rejection, by SKU: file, address, SHA-256, and since when or why.",
            examples=("darkroom catalog export shop --live -o live.csv", "darkroom catalog export shop --rejected"),
        ),
    ),
)

SCHEDULE = Group(
    name="schedule",
    summary="Refresh catalogs on a schedule; running nodes carry it out.",
    panel=_PANEL,
    commands=(
        Command(
            name="add",
            target="catalog.schedule:add",
            summary="Add a schedule: nodes plan and apply at each fire time, up to the cap. Spends nothing now.",
            examples=(
                "darkroom schedule add weekly --catalog shop --cron '0 2 * * 1' --tz Europe/Berlin --cap 400",
                "darkroom schedule add nightly --catalog shop --cron '30 1 * * *' --cap 500",
            ),
        ),
        Command(
            name="list",
            target="catalog.schedule:list_",
            summary="List the schedules with their next fire times.",
            examples=("darkroom schedule list", "darkroom schedule list --json"),
        ),
        Command(
            name="set",
            target="catalog.schedule:set_",
            summary="Change a schedule: when it runs, and what one run may cost. A run in progress continues.",
            examples=(
                "darkroom schedule set weekly --cron '0 3 * * 1'",
                "darkroom schedule set weekly --cap 600 --by mia --reason 'more items'",
            ),
        ),
        Command(
            name="pause",
            target="catalog.schedule:pause",
            summary="Pause a schedule; a run in progress continues.",
            examples=("darkroom schedule pause weekly", "darkroom schedule pause weekly --json"),
        ),
        Command(
            name="resume",
            target="catalog.schedule:resume",
            summary="Resume a schedule; fire times that passed while it was paused are not made up for.",
            examples=("darkroom schedule resume weekly", "darkroom schedule resume weekly --json"),
        ),
        Command(
            name="remove",
            target="catalog.schedule:remove",
            summary="Remove a schedule and its waiting runs. Past runs stay on record.",
            examples=("darkroom schedule remove weekly", "darkroom schedule remove weekly --by mia"),
        ),
        Command(
            name="run-now",
            target="catalog.schedule_runs:run_now",
            summary="Run a schedule once now, beside its fire times: a node plans and applies, up to the cap.",
            examples=("darkroom schedule run-now weekly", "darkroom schedule run-now weekly --yes"),
        ),
        Command(
            name="cancel",
            target="catalog.schedule_runs:cancel",
            summary="Cancel a run that is queued or waits for approval, and its plan. Nothing is spent.",
            examples=(
                "darkroom schedule cancel RUN --reason 'wrong prices'",
                "darkroom schedule cancel RUN --by mia --reason late",
            ),
        ),
        Command(
            name="runs",
            target="catalog.schedule_runs:runs",
            summary="List the runs of a schedule: fire time, plan, price, credits spent, outcome.",
            examples=("darkroom schedule runs weekly", "darkroom schedule runs weekly --json"),
        ),
    ),
)
