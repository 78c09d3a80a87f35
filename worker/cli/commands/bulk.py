"""The group ``darkroom bulk``."""

from worker.cli.lazy import Command, Group

BULK = Group(
    name="bulk",
    summary="Look at the actions that were ordered on many batches or images at once, stop them, and decide in bulk.",
    panel="Batches",
    commands=(
        Command(
            name="list",
            target="batches.bulk:list_",
            summary="List bulk operations, the newest first: action, filter, author, and how much is done.",
            examples=("darkroom bulk list", "darkroom bulk list --json"),
        ),
        Command(
            name="show",
            target="batches.bulk:show",
            summary="Show a bulk operation, and what came of each batch or image.",
            examples=("darkroom bulk show OPERATION", "darkroom bulk show OPERATION --json"),
        ),
        Command(
            name="decide",
            target="batches.bulk:decide",
            summary="Save one decision on many undecided images of a catalog; nothing goes live before it is applied.",
            examples=(
                "darkroom bulk decide shop --accept --sku 'chair-*' --as-ordered",
                "darkroom bulk decide shop --reject --not-as-ordered --reason 'wrong size' --yes",
            ),
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
            summary="Stop a bulk operation: what is done stays so, what waits is skipped.",
            examples=("darkroom bulk cancel OPERATION", "darkroom bulk cancel OPERATION --json"),
        ),
    ),
)
