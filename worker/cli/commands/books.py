"""The groups ``darkroom audit`` and ``darkroom account``."""

from worker.cli.lazy import Command, Group

PANEL = "Books and health"

AUDIT = Group(
    name="audit",
    summary="Verify the ledger, and print reports from it.",
    panel=PANEL,
    commands=(
        Command(
            name="verify",
            target="audit.verify:verify",
            summary="Check the invariants of the ledger and of job states; exit status 1 if one is violated.",
            examples=("darkroom audit verify", "darkroom audit verify --anchor evidence/"),
        ),
        Command(
            name="statement",
            target="audit.reports:statement",
            summary="Show opening balances, movements and closing balances.",
            examples=(
                "darkroom audit statement --batch chairs",
                "darkroom audit statement --batch chairs --as-of 2026-11-30 --format csv",
            ),
        ),
        Command(
            name="outstanding",
            target="audit.reports:outstanding",
            summary="Show credits that are held or reserved and not settled yet, the oldest first.",
            examples=("darkroom audit outstanding", "darkroom audit outstanding --format json"),
        ),
        Command(
            name="spend",
            target="audit.reports:spend",
            summary="Show the credits held, reserved, charged and released, per batch or image.",
            examples=(
                "darkroom audit spend --owner mia",
                "darkroom audit spend --by image --as-of 2026-11-30 --format csv",
            ),
        ),
        Command(
            name="job",
            target="audit.reports:job",
            summary="Show the history of one job: request, attempts, ledger entries, files, and outside calls.",
            examples=("darkroom audit job JOB", "darkroom audit job JOB --format json"),
        ),
        Command(
            name="reconcile",
            target="audit.reports:reconcile",
            summary="Match changes of the wallet with the ledger, and classify the differences.",
            examples=(
                "darkroom audit reconcile --from 2026-11-01 --to 2026-11-30",
                "darkroom audit reconcile --from 2026-11-01 --to 2026-11-30 --format xlsx --output november.xlsx",
            ),
        ),
        Command(
            name="export",
            target="audit.reports:export",
            summary="Print every entry of the ledger, for a spreadsheet or for plain-text accounting (hledger).",
            examples=(
                "darkroom audit export --from 2026-11-01 --to 2026-11-30",
                "darkroom audit export --from 2026-11-01 --to 2026-11-30 --format hledger",
            ),
        ),
        Command(
            name="changes",
            target="audit.reports:changes",
            summary="Show who changed or decided what, and why: caps, limits, pauses, doubts, corrections.",
            examples=("darkroom audit changes", "darkroom audit changes --format json"),
        ),
        Command(
            name="trial-balance",
            target="audit.reports:trial_balance",
            summary="Show the four accounts of each batch and of all, which add up to zero.",
            examples=("darkroom audit trial-balance", "darkroom audit trial-balance --as-of 2026-11-30"),
        ),
        Command(
            name="check",
            target="audit.verify:check",
            summary="Check a report against its evidence and the ledger; exit status 1 on a difference.",
            examples=("darkroom audit check november.csv", "darkroom audit check november.csv --offline"),
        ),
        Command(
            name="in-doubt",
            target="audit.in_doubt:in_doubt",
            summary="List generations that may have been charged, with the evidence and the commands to resolve them.",
            examples=("darkroom audit in-doubt", "darkroom audit in-doubt --json"),
        ),
    ),
)

ACCOUNT = Group(
    name="account",
    summary="Show, pause and resume an account, and set its limits.",
    panel=PANEL,
    commands=(
        Command(
            name="show",
            target="accounts.account:show",
            summary="Show an account's request rate, in-flight window, wallet and pause.",
            examples=("darkroom account show", "darkroom account show --json"),
        ),
        Command(
            name="list",
            target="accounts.account:list_",
            summary="List all accounts with their limits, pools and pauses.",
            examples=("darkroom account list", "darkroom account list --json"),
        ),
        Command(
            name="default",
            target="accounts.account:default",
            summary="Set or show the account, or the pool, of an owner's batches that name neither.",
            examples=("darkroom account default marketing", "darkroom account default marketing --account default"),
        ),
        Command(
            name="pause",
            target="accounts.account:pause",
            summary="Stop paid work until `account resume`; generations in progress are polled and downloaded.",
            examples=("darkroom account pause --reason 'price is being checked'", "darkroom account pause --by mia"),
        ),
        Command(
            name="resume",
            target="accounts.account:resume",
            summary="Resume paid work, whatever it was paused for; a cause that persists pauses it again.",
            examples=("darkroom account resume", "darkroom account resume --by mia --reason 'topped up'"),
        ),
        Command(
            name="same-key",
            target="accounts.account:same_key",
            summary="Confirm that RIVYA_API_KEY belongs to the same provider account as the previous key.",
            examples=(
                "darkroom account same-key --reason 'rotated in the settings of the same account'",
                "darkroom account same-key --by mia --reason 'rotated by me'",
            ),
        ),
        Command(
            name="set",
            target="accounts.account:set_limits",
            summary="Set an account's request rate, read rate or in-flight window; takes effect at once.",
            examples=("darkroom account set --rate 2 --max-in-flight 100", "darkroom account set --rate auto"),
        ),
    ),
)

WEBHOOK = Group(
    name="webhook",
    summary="Register, list, test, rotate and remove the endpoints to which the provider sends webhooks.",
    panel=PANEL,
    commands=(
        Command(
            name="add",
            target="accounts.webhook:add",
            summary="Register an endpoint with the provider, below URL at a secret path that is shown once.",
            examples=(
                "darkroom webhook add https://darkroom.example.com/webhooks/provider",
                "darkroom webhook add https://darkroom.example.com/hooks --verifiers standard --by mia",
            ),
        ),
        Command(
            name="list",
            target="accounts.webhook:list_",
            summary="List the endpoints, here and at the provider, with what came to them.",
            examples=("darkroom webhook list", "darkroom webhook list --json"),
        ),
        Command(
            name="test",
            target="accounts.webhook:request_test",
            summary="Have the provider send a test event to an endpoint.",
            examples=("darkroom webhook test ID", "darkroom webhook test ID --json"),
        ),
        Command(
            name="rotate-secret",
            target="accounts.webhook:rotate_secret",
            summary="Have the provider sign with a new secret; the previous one stays valid until the next rotation.",
            examples=("darkroom webhook rotate-secret ID", "darkroom webhook rotate-secret ID --by mia"),
        ),
        Command(
            name="remove",
            target="accounts.webhook:remove",
            summary="Remove an endpoint at the provider and here; generations are polled as without it.",
            examples=("darkroom webhook remove ID", "darkroom webhook remove ID --by mia --reason 'moved'"),
        ),
    ),
)

STORE = Group(
    name="store",
    summary="Show the image store, or adopt another one.",
    panel=PANEL,
    commands=(
        Command(
            name="show",
            target="health.store:show",
            summary="Show the expected and the actual identity of the store, and whether it works.",
            examples=("darkroom store show", "darkroom store show --json"),
        ),
        Command(
            name="adopt",
            target="health.store:adopt",
            summary="Make what is at DARKROOM_STORE the account's store; the change is recorded.",
            examples=("darkroom store adopt", "darkroom store adopt --yes --by mia --reason 'moved to a new disk'"),
        ),
    ),
)
