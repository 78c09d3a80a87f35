"""The group ``darkroom bulk``."""

from worker.cli.lazy import Command, Group

BULK = Group(
    name="bulk",
    summary="Look at the actions that were ordered on many batches at once, and stop them.",
    panel="Batches",
    commands=(
        Command(
            name="list",
            target="batches.bulk:list_",
            summary="List bulk operations, the newest first: action, filter, author, and how many batches are done.",
            examples=("darkroom bulk list", "darkroom bulk list --json"),
        ),
        Command(
            name="show",
            target="batches.bulk:show",
            summary="Show a bulk operation, and what came of each batch.",
            examples=("darkroom bulk show OPERATION", "darkroom bulk show OPERATION --json"),
        ),
        Command(
            name="start",
            target="batches.bulk:start",
            summary="Start a previewed bulk operation, or agree to one of another person that needs two.",
            examples=("darkroom bulk start OPERATION --by rita", "darkroom bulk start OPERATION --json"),
        ),
        Command(
            name="cancel",
            target="batches.bulk:cancel",
            summary="Stop a bulk operation: batches that are done stay so, those that wait are skipped.",
            examples=("darkroom bulk cancel OPERATION", "darkroom bulk cancel OPERATION --json"),
        ),
    ),
)
