"""How the process starts, what it prints, and how it ends."""

import json
import signal
import socket
from pathlib import Path

import pytest

from ops.sandbox.choices import Fault
from ops.sandbox.cli import main, settings_table
from tests.sandbox.running import ROOT, TIMEOUT_S, start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_two_lines_listens_on_the_loopback_and_ends_when_told(number: signal.Signals) -> None:
    sandbox = start()
    answer = sandbox.get("/api/v1/credits")

    sandbox.process.send_signal(number)
    rest, _ = sandbox.process.communicate(timeout=TIMEOUT_S)

    assert sandbox.url.startswith("http://127.0.0.1:")
    assert sandbox.key.startswith("rvya_sk_")
    assert answer.json() == {"current_credits": 10_000}
    assert (rest, sandbox.process.returncode) == ("", 0)


def test_settings_come_from_a_file_and_from_options(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"wallet": 12, "create_status": 201, "faults": {"get": {"slow": 0.5}}}))

    sandbox = start("--settings", file, "--set", "create_status=202", "--api-key", "rvya_sk_mine")
    credits_, status = sandbox.credits(), sandbox.create().status_code
    settings = sandbox.get("/sandbox/settings").json()
    sandbox.stop()

    assert (sandbox.key, credits_, status) == ("rvya_sk_mine", 12, 202)
    assert settings["faults"] == {"get": {"slow": 0.5}}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--set", "create_status=418"], "permitted: 200, 201, 202"),
        (["--set", "wallet"], "NAME=VALUE"),
        (["--settings", "no-such-file.json"], "No such file"),
    ],
)
def test_a_bad_option_ends_it_with_the_reason(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(options)

    assert code == 2
    assert reason in capsys.readouterr().err


def test_a_key_with_another_beginning_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--api-key", "secret"])

    assert "must begin with rvya_sk_" in capsys.readouterr().err


def test_a_taken_port_ends_it_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code = main(["--port", str(taken.getsockname()[1])])

    assert code == 2
    assert "take another --port" in capsys.readouterr().err


def test_the_page_lists_every_setting_as_it_is() -> None:
    page = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")

    assert settings_table() in page


@pytest.mark.parametrize("fault", list(Fault))
def test_the_page_names_every_fault(fault: Fault) -> None:
    page = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")

    assert f"| `{fault}` |" in page
