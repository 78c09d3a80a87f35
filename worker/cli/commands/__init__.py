"""Every command of ``darkroom``: its name, where its function is, and what ``--help`` shows of it.

A new command is a module with a function, and an entry here.
"""

from worker.cli.commands import books, catalogs
from worker.cli.lazy import Command, Group

_BATCHES, _START = "Batches", "Start and stop"

_SERVICES = Group(
    name="services",
    summary="Start, stop and inspect the embedded Postgres and Valkey.",
    panel=_START,
    commands=(
        Command(
            name="start",
            target="local.services:start",
            summary="Start both servers, migrate the database, and print the variables to export.",
            examples=("darkroom services start", "darkroom services start --json"),
        ),
        Command(
            name="stop",
            target="local.services:stop",
            summary="Stop both servers; succeeds if none is running.",
            examples=("darkroom services stop", "darkroom services stop --json"),
        ),
        Command(
            name="status",
            target="local.services:status",
            summary="Show which of the servers are running.",
            examples=("darkroom services status", "darkroom services status --json"),
        ),
    ),
)

ROOT = Group(
    name="darkroom",
    summary="Render images in bulk, and account for every credit.",
    aliases={"list": "ls", "jobs": "ls", "ps": "ls", "history": "ls", "show": "status", "info": "status"},
    hints={
        "start": "Start Darkroom with `darkroom up`, or resume a batch with `darkroom resume BATCH`.",
        "stop": "Stop Darkroom with `darkroom down`, a batch with `darkroom pause BATCH` or `darkroom cancel BATCH`.",
        "run": "Submit a manifest with `darkroom submit MANIFEST`; start Darkroom with `darkroom up`.",
        "rm": "Cancel a batch with `darkroom cancel BATCH`; its records stay.",
        "delete": "Cancel a batch with `darkroom cancel BATCH`; its records stay.",
        "kill": "Cancel a batch with `darkroom cancel BATCH`, or stop Darkroom with `darkroom down`.",
        "version": "Use `darkroom --version`.",
        "config": "Settings are environment variables: `darkroom env` prints them, `darkroom doctor` checks them.",
    },
    commands=(
        Command(
            name="submit",
            target="intake.submit:submit",
            panel=_BATCHES,
            summary="Check a manifest and submit it as one batch.",
            examples=("darkroom submit chairs.csv --dry-run", "darkroom submit chairs.csv --name chairs --wait"),
        ),
        Command(
            name="status",
            target="batches.status:status",
            panel=_BATCHES,
            summary="Show the newest batches, or where one batch stands.",
            examples=("darkroom status", "darkroom status chairs"),
        ),
        Command(
            name="ls",
            target="batches.status:ls",
            panel=_BATCHES,
            summary="List the newest batches, as `darkroom status` without a batch does.",
            examples=("darkroom ls", "darkroom ls --state running --owner mia"),
        ),
        Command(
            name="refused",
            target="intake.refused:refused",
            panel=_BATCHES,
            summary="List refused batches with the reason; --raw shows the bytes of a message that could not be read.",
            examples=("darkroom refused --days 30", "darkroom refused order-4711 --raw"),
        ),
        Command(
            name="watch",
            target="batches.watch:watch",
            panel=_BATCHES,
            summary="Follow a batch live until it is done; ends with 1 when a job of it ended without an image.",
            examples=("darkroom watch chairs", "darkroom watch chairs --json"),
        ),
        Command(
            name="results",
            target="batches.results:results",
            panel=_BATCHES,
            summary="Write the result of each line of the manifest, in its order, as JSON lines or CSV.",
            examples=("darkroom results chairs --csv > chairs.results.csv", "darkroom results chairs --failed"),
        ),
        Command(
            name="download",
            target="batches.download:download",
            panel=_BATCHES,
            summary="Copy a batch's images into a folder, each named by its key; running it again copies what is new.",
            examples=("darkroom download chairs --to chairs", "darkroom download chairs --to /srv/shop/images --json"),
        ),
        Command(
            name="sheet",
            target="batches.sheet:sheet",
            panel=_BATCHES,
            summary="Write a contact sheet: a self-contained HTML page with every image, prompt, state and credit.",
            examples=("darkroom sheet chairs", "darkroom sheet chairs --output chairs.html"),
        ),
        Command(
            name="open",
            target="batches.open:open_",
            panel=_BATCHES,
            summary="Write a batch's contact sheet into the home and open it in the browser.",
            examples=("darkroom open chairs", "darkroom open chairs --json"),
        ),
        Command(
            name="pause",
            target="batches.pause:pause",
            panel=_BATCHES,
            summary="Pause batches: no further job starts until `darkroom resume`; jobs in progress continue.",
            examples=("darkroom pause chairs", "darkroom pause --owner mia --name 'spring*' --dry-run"),
        ),
        Command(
            name="resume",
            target="batches.resume:resume",
            panel=_BATCHES,
            summary="Resume paused batches.",
            examples=("darkroom resume chairs", "darkroom resume --owner mia --yes"),
        ),
        Command(
            name="reprioritise",
            target="batches.reprioritise:reprioritise",
            panel=_BATCHES,
            summary="Change the priority class or the weight of batches; it applies to their pending jobs at once.",
            examples=(
                "darkroom reprioritise chairs --to interactive",
                "darkroom reprioritise --purpose refresh --weight 3",
            ),
        ),
        Command(
            name="cancel",
            target="batches.cancel:cancel",
            panel=_BATCHES,
            summary="Cancel batches: unsent jobs are dropped; generations at the provider are paid for and downloaded.",
            examples=("darkroom cancel chairs", "darkroom cancel --owner mia --since 2026-11-30 --dry-run"),
        ),
        Command(
            name="deadline",
            target="batches.deadline:deadline",
            panel=_BATCHES,
            summary="Set or remove a batch's deadline. Jobs that an earlier deadline ended stay ended; see `retry`.",
            examples=("darkroom deadline chairs 6h", "darkroom deadline chairs none"),
        ),
        Command(
            name="retry",
            target="batches.retry:retry",
            panel=_BATCHES,
            summary="Retry failed jobs: download paid images again, render the others anew; shows the price first.",
            examples=("darkroom retry chairs", "darkroom retry chairs --code generation_failed"),
        ),
        catalogs.CATALOG,
        catalogs.SCHEDULE,
        Command(
            name="up",
            target="local.up:up",
            panel=_START,
            summary="Run services, migrations, sandbox (without a key) and worker nodes until Ctrl-C, which drains.",
            examples=("darkroom up", "darkroom up --nodes 2"),
        ),
        Command(
            name="down",
            target="local.down:down",
            panel=_START,
            summary="End `darkroom up` and the embedded services of this home, as Ctrl-C in its terminal does.",
            examples=("darkroom down", "darkroom down --timeout 10"),
        ),
        Command(
            name="logs",
            target="local.logs:logs",
            panel=_START,
            summary="Print the end of a log file in the home, or list the log files.",
            examples=("darkroom logs", "darkroom logs node1 --follow"),
        ),
        Command(
            name="demo",
            target="local.demo:demo",
            panel=_START,
            summary="Render the example manifest: in the free sandbox, or with a key for real after a question.",
            examples=("darkroom demo", "darkroom demo --yes"),
        ),
        Command(
            name="sandbox",
            target="local.sandbox:sandbox",
            panel=_START,
            summary="Run the sandbox provider alone; options such as --port and --state go to it, --help lists them.",
            examples=("darkroom sandbox --port 8900", "darkroom sandbox top-up 5000"),
            settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
        ),
        Command(
            name="env",
            target="local.env:env",
            panel=_START,
            summary='Print the environment that other processes need, with passwords: eval "$(darkroom env)".',
            examples=("darkroom env --format shell", "darkroom env --format dotenv > .env"),
        ),
        _SERVICES,
        books.AUDIT,
        books.ACCOUNT,
        books.STORE,
        Command(
            name="cap",
            target="batches.cap:cap",
            panel=books.PANEL,
            summary="Set the credit cap of a batch or the monthly cap of an owner; takes effect at once.",
            examples=("darkroom cap chairs 400", "darkroom cap --owner mia --monthly 5000"),
        ),
        Command(
            name="resolve",
            target="audit.resolve:resolve",
            panel=books.PANEL,
            summary="Resolve a generation in doubt; the entries carry your name and reason.",
            examples=(
                "darkroom resolve GENERATION --not-charged --by mia --reason 'not in the history of the account'",
                "darkroom resolve GENERATION --adopt task_8f2c --by mia --reason 'found in the history'",
            ),
        ),
        Command(
            name="correct",
            target="audit.correct:correct",
            panel=books.PANEL,
            summary="Correct the cost of an ended generation; the entry carries your name and reason.",
            examples=(
                "darkroom correct GENERATION --spent 0 --by mia --reason 'credit note 17'",
                "darkroom correct GENERATION --spent 4 --by mia --reason 'invoice of November'",
            ),
        ),
        Command(
            name="doctor",
            target="health.doctor:doctor",
            panel=books.PANEL,
            summary="Check database, broker, nodes, store, key, wallet and prices. Spends nothing.",
            examples=("darkroom doctor", "darkroom doctor --verify-store --sample 100"),
        ),
    ),
)
