"""The demo does what it promises, and leaves nothing behind."""

from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import Darkroom
from worker.local import home, services


@pytest.mark.acceptance
def test_the_demo_renders_every_good_line_and_leaves_no_process_behind(spawned: Darkroom, tmp_path: Path) -> None:
    place = tmp_path / ".darkroom"

    try:
        shown = spawned("demo")

        assert shown.returncode == 0, shown.stdout + shown.stderr
        assert "done 41, failed 0" in shown.stdout
        assert "audit: ok" in shown.stdout
        assert _processes_of(place) == []
    finally:
        services.erase(place)


def _processes_of(place: Path) -> list[list[str]]:
    names = (str(place), str(home.at(place).data))
    lines = [each.info["cmdline"] or [] for each in psutil.process_iter(["cmdline"])]
    return [line for line in lines if any(name in argument for argument in line for name in names)]
