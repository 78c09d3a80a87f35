"""Every command line in a block of a document is run by a test, or said why not; every other one names what exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.nodes import ROOT
from tests.acceptance.test_examples import execute, filled_in
from tests.acceptance.test_examples import world as world  # noqa: PLC0414 - a fixture
from tests.acceptance.world import World
from worker.cli.commands import ROOT as COMMANDS
from worker.cli.lazy import Command, Group

pytestmark = pytest.mark.acceptance

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```([\w-]*)(?: \S+)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = (
    "darkroom",
    "make",
    "psql",
    "curl",
    "pip",
    "export",
    "docker",
    "kubectl",
    "python",
    "printf",
    "celery",
    "seq",
)
WHOLE = {
    "api.md": "tests/web/api/test_document.py",
    "audit.md": "tests/reports/test_guide.py",
    "catalog.md": "tests/browser/test_catalog_document.py",
}
"""Documents whose blocks are all run, one after the other, by a test of their own."""

README = """
printf '%s\\n' '{"key": "chair", "prompt": "A red chair in a white studio"}' > chairs.jsonl
darkroom submit chairs.jsonl --name chairs --wait
darkroom results chairs
darkroom audit verify
"""
HOOKS = """
darkroom hook add https://shop.example/darkroom --event batch.done --event budget.80
darkroom hook add publish --event image.live --catalog mugs
darkroom hook list
darkroom hook deliveries --failed
"""
OPERATIONS = """
darkroom migrate
darkroom demand --json
darkroom archive --before 2026-08-01 --dry-run
darkroom archive --before 2026-08-01
darkroom archive --list
darkroom token create shop --right submit --right read --owner shop --priority refresh --cap 4000 --expires 90d
"""
FLEET = r"""
seq 100 | awk '{print "{\"key\": \"chair-" $1 "\", \"prompt\": \"A red chair, number " $1 "\"}"}' > hundred.jsonl
darkroom submit hundred.jsonl --name hundred --wait
darkroom top
darkroom doctor
darkroom token create prometheus --right read --all-owners > prometheus-token
"""
RUN = [line for text in (README, HOOKS, OPERATIONS, FLEET) for line in text.strip().splitlines()]
PREPARED = "darkroom catalog import mugs items.csv --recipe recipe.toml"
"""What the document on catalogs has made before."""

_WEBHOOKS = "the sandbox knows no such host: tests/cli/test_webhook.py"
_ERASES = "needs a batch that has ended: tests/cli/test_erasing.py"
_CLUSTER = "needs a cluster: tests/ops/test_machines.py checks the files that it applies"
_CONTAINERS = "needs a daemon of containers: tests/ops/test_machines.py checks the files that it runs"
_UNTIL_STOPPED = "runs until it is stopped"
_BUILDS = "builds the environment that this test runs in"
_SEVERAL = "needs several accounts: tests/cli/local/test_several_accounts.py"
NOT_RUN = {
    "make demo": "tests/cli/local/test_demo.py runs what it calls",
    "make test": "runs this suite: .ci/run",
    "make setup && . .venv/bin/activate": f"{_BUILDS}: .ci/run begins with a clean clone",
    "make setup-dev": f"{_BUILDS}: .ci/run begins with a clean clone",
    "make check": "takes minutes: .ci/run",
    "make rules": "takes minutes: .ci/run",
    "make coverage": "takes longer than the suite",
    "make site": "tests/ops/test_site.py runs what it calls",
    "darkroom up": f"{_UNTIL_STOPPED}: tests/cli/local/test_up.py",
    "darkroom node": f"{_UNTIL_STOPPED}: tests/cli/local/test_node.py",
    "darkroom env --format dotenv > .env": "needs a home: tests/acceptance/test_examples.py",
    "export DARKROOM_DATABASE_URL_FILE=/etc/darkroom/database-url"
    " DARKROOM_BROKER_URL_FILE=/etc/darkroom/broker-url": "names files of secrets: tests/cli/test_secret_files.py",
    "export RIVYA_API_KEY_FILE=/etc/darkroom/api-key DARKROOM_STORE=s3://images": "names files of secrets:"
    " tests/cli/test_secret_files.py",
    "export DARKROOM_ACCOUNTS=shop,studio": "settings of nodes: tests/acceptance/test_accounts.py",
    "export DARKROOM_RATE__SHOP=10 DARKROOM_POOLS__SHOP=bulk"
    " DARKROOM_POOLS__STUDIO=bulk": "settings of nodes: tests/acceptance/test_accounts.py",
    "export DARKROOM_ACCOUNTS=shop,studio DARKROOM_POOLS__SHOP=bulk DARKROOM_POOLS__STUDIO=bulk": _SEVERAL,
    "darkroom submit chairs.jsonl --pool bulk --wait": _SEVERAL,
    "export RIVYA_API_KEY__SHOP_FILE=/etc/darkroom/key-of-shop"
    " RIVYA_API_KEY__STUDIO_FILE=/etc/darkroom/key-of-studio": "names files of secrets: tests/cli/test_secret_files.py",
    "darkroom web": f"{_UNTIL_STOPPED}: tests/web",
    "darkroom hook test HOOK": "needs a receiver: tests/hooks",
    "darkroom hook replay --failed --since 2026-11-28": "needs a dead letter: tests/hooks",
    "darkroom webhook add https://darkroom.example.com/webhooks/provider": _WEBHOOKS,
    "darkroom webhook list": "needs an endpoint: tests/cli/test_webhook.py",
    "darkroom webhook test ID": "needs an endpoint: tests/cli/test_webhook.py",
    "darkroom webhook rotate-secret ID": "needs an endpoint: tests/cli/test_webhook.py",
    "darkroom webhook remove ID": "needs an endpoint: tests/cli/test_webhook.py",
    "darkroom erase --batch chairs --reason 'request 12 of the customer' --dry-run": _ERASES,
    "darkroom erase --batch chairs --job chair-1 --reason 'request 12 of the customer' --yes": _ERASES,
    "darkroom erase --reference face.png --reason 'request 13 of the customer' --yes": _ERASES,
    "python -m ops.sandbox": f"{_UNTIL_STOPPED}: tests/sandbox/test_process.py",
    "python -m ops.sandbox --state DIR --port N": f"{_UNTIL_STOPPED}: tests/sandbox/test_process.py",
    "python -m ops.sandbox --settings FILE --set latency_median_s=0"
    """ --set 'faults={"create": {"lost_reply": 0.05}}'""": f"{_UNTIL_STOPPED}: tests/sandbox/test_process.py",
    "pip install 'darkroom[otel]'": "changes the environment that this test runs in",
    "export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318": "names a collector: tests/tracing has one",
    "docker compose -f ops/docker/compose.yaml up --build --detach": _CONTAINERS,
    "docker compose -f ops/docker/compose.yaml exec web darkroom user link": _CONTAINERS,
    "docker compose -f ops/docker/compose.yaml exec -T web darkroom token create prometheus --right read"
    " --all-owners > token": _CONTAINERS,
    "curl -s http://node-1:9464/readyz": "names a machine: tests/node/test_metrics.py",
    "kubectl create namespace darkroom": _CLUSTER,
    "kubectl -n darkroom create secret generic darkroom --from-file=database-url --from-file=broker-url"
    " --from-file=api-key": _CLUSTER,
    "kubectl apply -k ops/kubernetes/example": _CLUSTER,
}


def commands(document: Path) -> Iterator[str]:
    """Return the command lines in the blocks of a document: those of a terminal after their prompt."""
    for language, body in BLOCK.findall(document.read_text(encoding="utf-8")):
        for line in body.replace("\\\n", " ").splitlines():
            command = line.removeprefix("$ ") if language == "console" else line
            is_said = (language == "console") == line.startswith("$ ")
            if language in {"", "sh", "console"} and is_said and command.startswith(tuple(f"{p} " for p in PROGRAMS)):
                yield re.sub(r"\s+#.*$", "", " ".join(command.split()))


def test_each_command_of_a_document_is_run_or_said_why_not() -> None:
    found = {line for document in DOCUMENTS if document.name not in WHOLE for line in commands(document)}

    assert found - set(RUN) == set(NOT_RUN)
    assert set(RUN) <= found


def test_documents_that_are_run_as_a_whole_are_read_by_their_test() -> None:
    read = {name: (ROOT / test).read_text(encoding="utf-8") for name, test in WHOLE.items()}

    # The one on catalogs is read by the module that its test imports.
    assert [name for name, text in read.items() if name not in text and "browser import document" not in text] == []


@pytest.mark.timeout(900)
def test_the_commands_of_the_documents_do_what_they_show(world: World) -> None:
    environment = {**world.settings, "USER": "mia"}

    for line in (PREPARED, *RUN):
        execute(filled_in(world, line), world.folder, environment)

    assert (world.folder / "chairs.jsonl").is_file()


INLINE = re.compile(r"`(darkroom (?!COMMAND)[^`\n]+)`")
MENTIONED = sorted({(d.name, line) for d in DOCUMENTS for line in INLINE.findall(d.read_text(encoding="utf-8"))})
"""Command lines in the text of the documents."""


@pytest.mark.parametrize(("document", "line"), MENTIONED, ids=[f"{name}: {line}" for name, line in MENTIONED])
def test_a_command_that_a_document_mentions_exists_with_its_options(document: str, line: str) -> None:
    # Only the first of several that a list names, and no words of a shell.
    words = re.split(r"[|;>,]", line.replace("[", " ").replace("]", " "))[0].split()[1:]
    entry: Command | Group = COMMANDS
    while isinstance(entry, Group) and words and not words[0].startswith("-"):
        by_name = {each.name: each for each in entry.commands}
        name = entry.aliases.get(words[0], words[0])
        assert name in by_name, f"{document}: there is no command {words[0]!r}"
        entry, words = by_name[name], words[1:]
    if isinstance(entry, Command):
        known = {option for each in entry.load().params for option in (*each.opts, *each.secondary_opts)}
        known |= {"--help", "-h"}
        given = {word.split("=")[0] for word in words if re.fullmatch(r"--?[a-z][\w-]*(=.*)?", word)}
        assert given <= known, f"{document}: {line}"
