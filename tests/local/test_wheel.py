"""The wheel holds what commands and nodes need, its types, and neither tests nor benchmarks."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """Return the wheel of this working copy, built with the locked build backend and no index."""
    place = tmp_path_factory.mktemp("wheel")
    command = ("pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", str(place), str(ROOT))
    subprocess.run([sys.executable, "-m", *command], check=True, timeout=120)
    return ZipFile(next(place.glob("darkroom-*.whl")))


@pytest.fixture(scope="module")
def metadata(wheel: ZipFile) -> Message:
    """Return the wheel's metadata."""
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


@pytest.mark.parametrize(
    "path",
    [
        "worker/py.typed",
        "worker/examples/catalog.jsonl",
        "worker/celery_app.py",
        "migrations/env.py",
        "migrations/script.py.mako",
        "ops/sandbox/__main__.py",
    ],
)
def test_the_wheel_holds_what_commands_and_nodes_need(wheel: ZipFile, path: str) -> None:
    assert path in wheel.namelist()


def test_every_migration_is_in_the_wheel(wheel: ZipFile) -> None:
    ours = {f"migrations/{path.relative_to(ROOT / 'migrations')}" for path in (ROOT / "migrations").rglob("*.*")}

    assert {name for name in ours if name.endswith((".py", ".sql", ".mako"))} <= set(wheel.namelist())


def test_the_wheel_has_neither_tests_nor_tools_of_the_repository(wheel: ZipFile) -> None:
    folders = {"/".join(name.split("/")[:2]) for name in wheel.namelist() if name.startswith(("ops/", "tests", "docs"))}

    assert folders == {"ops/__init__.py", "ops/sandbox"}


def test_the_licence_is_an_expression_and_no_classifier(metadata: Message) -> None:
    """PEP 639: with an expression, a classifier of the licence makes an upload fail."""
    assert metadata["License-Expression"] == "MIT"
    assert [each for each in metadata.get_all("Classifier", []) if each.startswith("License")] == []


def test_dependencies_are_ranges_and_servers_are_extras(metadata: Message) -> None:
    required = metadata.get_all("Requires-Dist", [])

    assert [each for each in required if "==" in each.partition(";")[0]] == []
    assert metadata.get_all("Provides-Extra") == ["archive", "embedded", "otel", "sandbox", "web"]


def test_every_package_that_is_imported_is_declared(metadata: Message) -> None:
    """A package that comes only because another needs it may be gone with the other's next release."""
    declared = {normal(re.split(r"[^\w-]", each)[0]) for each in metadata.get_all("Requires-Dist", [])}
    ours = {"worker", "models", "migrations", "ops", *sys.stdlib_module_names}
    names = {name for folder in ("worker", "models", "migrations") for name in imported(ROOT / folder)} - ours
    packages = packages_distributions()

    assert {name for name in names if not declared & {normal(each) for each in packages[name]}} == set()


def normal(package: str) -> str:
    """Return a package's name as registries compare it."""
    return package.lower().replace("_", "-")


def imported(folder: Path) -> Iterator[str]:
    """Yield the top-level packages that modules below the folder import."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (each.name.partition(".")[0] for each in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]
