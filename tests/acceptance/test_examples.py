"""The examples that each command's ``--help`` ends with do what they show: all are run, in three sessions."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance import world as worlds
from tests.acceptance.nodes import ROOT
from tests.acceptance.world import World
from tests.cli.conftest import up as up  # noqa: PLC0414 - a fixture
from tests.fixtures import provider
from worker.cli.commands import ROOT as COMMANDS
from worker.cli.lazy import Group

pytestmark = pytest.mark.acceptance

SHELL = f'set -e\ndarkroom() {{ "{sys.executable}" -m worker.cli "$@"; }}\n'
FILES = {
    "chairs.csv": "key,prompt\nchair-1,A red chair\nchair-2,A blue chair\n",
    "spring.csv": "key,prompt\nsofa,A sofa\n",
    "items.csv": "sku,colour\nchair-7,red\nchair-8,blue\n",
    "items.jsonl": '{"sku": "chair-7", "colour": "red"}\n{"sku": "chair-8", "colour": "navy"}\n',
    "recipe.toml": 'prompt = "A {{ colour }} chair"\nreview = "required"\n',
    "secret.txt": "a long random secret",
}
IDS = {
    "GENERATION": "SELECT id FROM generation ORDER BY id LIMIT 1",
    "JOB": "SELECT id FROM job ORDER BY id LIMIT 1",
    "HOOK": "SELECT id FROM hook ORDER BY id LIMIT 1",
    "PLAN": "SELECT id FROM catalog_plan ORDER BY made_at DESC, id DESC LIMIT 1",
    "RUN": "SELECT id FROM schedule_run ORDER BY id DESC LIMIT 1",
    "IMAGE": "SELECT r.id FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id WHERE i.sku = 'chair-7'"
    " ORDER BY r.id LIMIT 1",
}
"""What stands for an id in an example, and how a reader would find it."""

BATCHES = """
darkroom submit chairs.csv --dry-run
darkroom submit chairs.csv --name chairs --wait
darkroom status
darkroom status chairs
darkroom explain chairs
darkroom explain chairs chair-1 --json
darkroom ls
darkroom ls --state running --owner mia
darkroom refused --days 30
darkroom watch chairs
darkroom watch chairs --json
darkroom results chairs --csv > chairs.results.csv
darkroom results chairs --failed
darkroom download chairs --to chairs
darkroom download chairs --to /srv/shop/images --json
darkroom sheet chairs
darkroom sheet chairs --output chairs.html
darkroom open chairs
darkroom open chairs --json
darkroom cap chairs 400
darkroom cap --owner mia --monthly 5000
darkroom retry chairs
"""
REPORTS = """
darkroom correct GENERATION --spent 0 --by mia --reason 'credit note 17'
darkroom correct GENERATION --spent 4 --by mia --reason 'invoice of November'
darkroom audit verify
darkroom audit statement --batch chairs
darkroom audit statement --batch chairs --as-of 2026-11-30 --format csv
darkroom audit outstanding
darkroom audit outstanding --format json
darkroom audit spend --owner mia
darkroom audit spend --by image --as-of 2026-11-30 --format csv
darkroom audit job JOB
darkroom audit job JOB --format json
darkroom audit reconcile --from 2026-11-01 --to 2026-11-30
darkroom audit reconcile --from 2026-11-01 --to 2026-11-30 --format xlsx --output november.xlsx
darkroom audit export --from 2026-11-01 --to 2026-11-30
darkroom audit export --from 2026-11-01 --to 2026-11-30 --format hledger
darkroom audit changes
darkroom audit changes --format json
darkroom audit trial-balance
darkroom audit trial-balance --as-of 2026-11-30
mkdir evidence && darkroom audit reconcile --from 2026-11-01 --to 2026-11-30 --format csv --output november.csv
cp november.csv november.csv.evidence.json evidence
darkroom audit verify --anchor evidence/
darkroom audit check november.csv
darkroom audit check november.csv --offline
darkroom audit in-doubt
darkroom audit in-doubt --json
darkroom erase --batch chairs --reason 'request 12 of the customer' --dry-run
darkroom erase --job JOB --reason 'request 12 of the customer' --yes --json
"""
OPERATIONS = """
darkroom bulk list
darkroom bulk list --json
darkroom doctor
darkroom doctor --verify-store --sample 100
darkroom top --once
darkroom demand
darkroom demand --json
darkroom archive --before 2026-01-01 --dry-run
darkroom archive --list
darkroom migrate
darkroom migrate --json
darkroom account show
darkroom account show --json
darkroom account list
darkroom account list --json
darkroom account default marketing
darkroom account default marketing --account default
darkroom account pause --reason 'price is being checked'
darkroom submit chairs.csv --name chairs
darkroom submit spring.csv --name 'spring sofas' --owner mia --purpose refresh
darkroom pause chairs
darkroom pause --owner mia --name 'spring*' --dry-run
darkroom resume chairs
darkroom pause --owner mia --yes
darkroom resume --owner mia --yes
darkroom reprioritise chairs --to interactive
darkroom reprioritise --purpose refresh --weight 3 --yes
darkroom deadline chairs 6h
darkroom deadline chairs none
darkroom cancel --owner mia --since 2026-11-30 --dry-run
darkroom cancel chairs
darkroom account resume
darkroom account pause --by mia
darkroom account resume --by mia --reason 'topped up'
darkroom account same-key --reason 'rotated in the settings of the same account'
darkroom account same-key --by mia --reason 'rotated by me'
darkroom account set --rate 2 --max-in-flight 100
darkroom account set --rate auto
darkroom store show
darkroom store show --json
darkroom store adopt
darkroom store adopt --yes --by mia --reason 'moved to a new disk'
"""
CATALOG = """
darkroom catalog import shop items.csv --recipe recipe.toml
darkroom hook add https://shop.example/darkroom --event batch.done --event budget.80
darkroom hook add publish --event image.live --catalog shop --by rita
darkroom hook list
darkroom hook list --json
darkroom hook rotate HOOK
darkroom hook rotate HOOK --by mia --reason leaked
darkroom hook deliveries --failed
darkroom hook deliveries --hook HOOK --json
darkroom hook remove HOOK
darkroom catalog plan shop
darkroom catalog plan shop --older-than 90 --out plan.json
darkroom catalog approve PLAN --by mia
darkroom catalog approve PLAN --by mia --json
darkroom catalog apply PLAN
darkroom catalog apply PLAN --json
darkroom watch
darkroom catalog show shop
darkroom catalog show shop --json
darkroom catalog show-plan PLAN
darkroom catalog show-plan PLAN --json
darkroom catalog list
darkroom catalog list --json
darkroom catalog sheet shop
darkroom catalog sheet shop --zip review.zip
darkroom catalog decide shop decisions.json --by mia
darkroom catalog rollback shop --to IMAGE --sku chair-7 --by mia
darkroom catalog rollback shop --to 2026-11-22T08:00+01:00 --by mia
darkroom catalog export shop --live -o live.csv
darkroom catalog export shop --rejected
darkroom catalog history shop chair-7
darkroom catalog history shop chair-7 --json
darkroom catalog import shop items.jsonl
darkroom catalog plan shop --force chair-7 --out forced.json
darkroom catalog apply forced.json
darkroom watch
darkroom catalog decide shop --reject chair-7 --reason 'too dark' --by mia
darkroom catalog plan shop
darkroom catalog refuse PLAN --by mia --reason 'too expensive'
darkroom catalog plan shop
darkroom catalog refuse PLAN --by mia --reason late
"""
SCHEDULE = """
darkroom schedule add weekly --catalog shop --cron '0 2 * * 1' --tz Europe/Berlin --cap 400
darkroom schedule add nightly --catalog shop --cron '30 1 * * *' --cap 500
darkroom schedule list
darkroom schedule list --json
darkroom schedule set weekly --cron '0 3 * * 1'
darkroom schedule set weekly --cap 600 --by mia --reason 'more items'
darkroom schedule pause weekly
darkroom schedule pause weekly --json
darkroom schedule resume weekly
darkroom schedule resume weekly --json
darkroom schedule run-now weekly
darkroom schedule runs weekly
darkroom schedule runs weekly --json
darkroom schedule remove weekly
darkroom schedule remove nightly
darkroom catalog remove shop --yes --json
"""
PEOPLE = """
darkroom token create shop --right submit --right read --owner shop
darkroom token create reports --right read --right finance --all-owners --expires 90d
darkroom token list
darkroom token list --json
darkroom token revoke shop --reason 'it was in a log'
darkroom user add mia --role operator
darkroom user add ann@example.com --role finance --role reviewer
darkroom user list
darkroom user list --json
darkroom user set mia --role viewer
darkroom user set mia --disable
"""
HOME = """
darkroom env --format shell
darkroom env --format dotenv > .env
darkroom logs
darkroom services status
darkroom services status --json
darkroom sandbox top-up 5000
darkroom down
darkroom down --timeout 10
darkroom services start
darkroom services start --json
darkroom services stop
darkroom services stop --json
"""
NOT_RUN = {
    "darkroom top": "runs until it is told to end: tests/cli/test_top.py",
    "darkroom retry --owner mia --code generation_failed --dry-run": "needs failed jobs: tests/cli/test_bulk.py",
    "darkroom bulk start OPERATION --by rita": "needs a preview over HTTP: tests/cli/test_bulk.py",
    "darkroom bulk start OPERATION --json": "needs a preview over HTTP: tests/cli/test_bulk.py",
    "darkroom bulk decide shop --accept --sku 'chair-*' --as-ordered": "asks on a terminal:"
    " tests/cli/test_bulk_decide.py",
    "darkroom bulk decide shop --reject --not-as-ordered --reason 'wrong size' --yes": "needs images that differ:"
    " tests/cli/test_bulk_decide.py",
    "darkroom bulk show OPERATION": "needs a filter with --yes: tests/cli/test_bulk.py",
    "darkroom bulk show OPERATION --json": "needs a filter with --yes: tests/cli/test_bulk.py",
    "darkroom bulk cancel OPERATION": "needs an operation that runs: tests/cli/test_bulk.py",
    "darkroom bulk cancel OPERATION --json": "needs an operation that runs: tests/cli/test_bulk.py",
    "darkroom node": "runs until it is told to end: tests/cli/local/test_node.py",
    "darkroom node --processes 1": "runs until it is told to end: tests/cli/local/test_node.py",
    "darkroom user link": "needs the web process: tests/web",
    "darkroom user link mia": "needs the web process: tests/web",
    "darkroom hook remove HOOK --json": "the hook is removed by then: run without --json",
    "darkroom hook test HOOK": "needs a receiver: tests/hooks",
    "darkroom hook test HOOK --wait 60 --json": "needs a receiver: tests/hooks",
    "darkroom hook enable HOOK": "needs a hook that is disabled: tests/hooks",
    "darkroom hook enable HOOK --json": "needs a hook that is disabled: tests/hooks",
    "darkroom hook replay DELIVERY": "needs a dead letter: tests/hooks",
    "darkroom hook replay --failed --since 2026-11-30": "needs a dead letter: tests/hooks",
    "darkroom webhook add https://darkroom.example.com/webhooks/provider": "the sandbox knows no such host:"
    " tests/cli/test_webhook.py",
    "darkroom webhook add https://darkroom.example.com/hooks --verifiers standard --by mia": "the sandbox knows no such"
    " host: tests/cli/test_webhook.py",
    "darkroom webhook list": "needs an endpoint: tests/cli/test_webhook.py",
    "darkroom webhook list --json": "needs an endpoint: tests/cli/test_webhook.py",
    "darkroom webhook remove ID": "needs an endpoint: tests/cli/test_webhook.py",
    "darkroom webhook remove ID --by mia --reason 'moved'": "needs an endpoint: tests/cli/test_webhook.py",
    "darkroom webhook rotate-secret ID": "needs an endpoint: tests/cli/test_webhook.py",
    "darkroom webhook rotate-secret ID --by mia": "needs an endpoint: tests/cli/test_webhook.py",
    "darkroom webhook test ID": "needs an endpoint: tests/cli/test_webhook.py",
    "darkroom webhook test ID --json": "needs an endpoint: tests/cli/test_webhook.py",
    "darkroom refused order-4711 --raw": "needs bytes in a queue: tests/cli/test_refusals.py",
    "darkroom resolve GENERATION --not-charged --by mia --reason 'not in the history of the account'": "needs a doubt:"
    " tests/cli/test_resolving.py",
    "darkroom resolve GENERATION --adopt task_8f2c --by mia --reason 'found in the history'": "needs a doubt:"
    " tests/cli/test_resolving.py",
    "darkroom reprioritise --purpose refresh --weight 3": "asks on a terminal: run with --yes",
    "darkroom catalog remove shop": "asks on a terminal: run with --yes",
    "darkroom schedule remove weekly --by mia": "the schedule is gone by then: run without --by",
    "darkroom schedule run-now weekly --yes": "the first run is still there: run without --yes",
    "darkroom schedule cancel RUN --reason 'wrong prices'": "needs a run that waits: tests/catalog/schedules",
    "darkroom schedule cancel RUN --by mia --reason late": "needs a run that waits: tests/catalog/schedules",
    "darkroom token revoke shop": "the token is revoked by then: run with --reason",
    "darkroom web": "does not end by itself: tests/web",
    "darkroom web --listen 127.0.0.1:9000": "does not end by itself: tests/web",
    "darkroom up": "what the second session runs in",
    "darkroom up --nodes 2": "does not end by itself: tests/cli/local/test_up.py",
    "darkroom logs node1 --follow": "does not end by itself: tests/cli/local/test_up.py",
    "darkroom sandbox --port 8900": "does not end by itself: tests/sandbox",
    "darkroom demo": "takes a minute: tests/cli/local/test_demo.py",
    "darkroom demo --yes": "takes a minute: tests/cli/local/test_demo.py",
}


def lines(*texts: str) -> list[str]:
    return [line for text in texts for line in text.strip().splitlines()]


def examples(group: Group = COMMANDS) -> Iterator[str]:
    for entry in group.commands:
        yield from examples(entry) if isinstance(entry, Group) else entry.examples


def execute(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a command line in a shell without a terminal; return what it printed, and fail when it failed."""
    done = subprocess.run(
        ["sh", "-c", SHELL + command],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def world(database_url: str, broker_urls: dict[str, str], tmp_path: Path) -> Iterator[World]:
    """Yield a Darkroom at work, with the files that the examples name."""
    with (
        provider.running() as sandbox,
        worlds.opened(database_url, broker_urls["embedded"], tmp_path, sandbox) as opened,
    ):
        for name, text in FILES.items():
            (opened.folder / name).write_text(text)
        opened.node()
        yield opened


def filled_in(world: World, example: str) -> str:
    """Return the example with real ids, a folder that may be written, and days that are over or not, as it needs."""
    today = datetime.now(UTC).date()
    end = today - timedelta(days=1) if "--as-of" in example else today
    command = example.replace("/srv/shop", "shop").replace("2026-11-30", f"{end}")
    command = command.replace("2026-11-01", f"{today - timedelta(days=29)}")
    for word in [each for each in IDS if f" {each} " in f"{command} "]:
        command = command.replace(word, str(world.query(IDS[word])[0]["id"]))
    return command


def save_decisions(world: World) -> None:
    """Write the file of decisions that the example names: both images are accepted."""
    found = world.query("SELECT i.sku, r.id FROM catalog_render r JOIN catalog_item i ON i.id = r.item_id")
    decisions = [{"sku": row["sku"], "render": str(row["id"]), "decision": "accept"} for row in found]
    head = {"darkroom": "decisions", "version": 1, "catalog": "shop", "saved_at": "2026-11-29T00:00:00Z"}
    (world.folder / "decisions.json").write_text(json.dumps(head | {"decisions": decisions}))


BEFORE: dict[str, Callable[[World], None]] = {"darkroom catalog decide shop decisions.json --by mia": save_decisions}


SESSIONS = [
    pytest.param(
        [BATCHES, REPORTS, OPERATIONS, PEOPLE],
        ["chairs/chair-1.png", "chairs.html", "chairs.results.csv", "november.xlsx"],
        id="batches, reports, operations, people",
    ),
    pytest.param([CATALOG, SCHEDULE], ["live.csv", "review.zip", "plan.json"], id="catalog, schedule"),
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("session", "made"), SESSIONS)
def test_the_examples_of_help_do_what_they_show(world: World, session: list[str], made: list[str]) -> None:
    environment = {**world.settings, "BROWSER": "true", "USER": "mia"}

    for example in lines(*session):
        if example in BEFORE:
            BEFORE[example](world)
        execute(filled_in(world, example), world.folder, environment)

    assert [name for name in made if not (world.folder / name).is_file()] == []


@pytest.mark.timeout(300)
def test_the_examples_for_a_home_do_what_they_show(up: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    for example in lines(HOME):
        execute(example, tmp_path, {})

    assert up.wait(timeout=60) == 0
    assert "DARKROOM_DATABASE_URL=" in (tmp_path / ".env").read_text()


def test_each_example_is_run_or_said_why_not() -> None:
    run = set(lines(BATCHES, REPORTS, OPERATIONS, PEOPLE, CATALOG, SCHEDULE, HOME))

    assert set(examples()) - run == set(NOT_RUN)
