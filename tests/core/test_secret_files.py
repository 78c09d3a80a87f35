"""Secrets from files: each secret setting may be in one, and nobody else may read or change it."""

import os
from pathlib import Path

import pytest

from worker import settings
from worker.settings import SECRETS, SettingsFaulty, load


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file with a key, which RIVYA_API_KEY_FILE names."""
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "key"
    path.write_text("rvya_sk_1\n")
    path.chmod(0o400)
    monkeypatch.setenv("RIVYA_API_KEY_FILE", str(path))
    return path


def faults() -> tuple[str, ...]:
    with pytest.raises(SettingsFaulty) as found:
        load()
    return found.value.faults


def test_a_secret_is_read_from_its_file_without_the_line_end(file: Path) -> None:
    key = load().api_key

    assert key is not None
    assert key.get_secret_value() == "rvya_sk_1"


def test_every_secret_setting_may_be_in_a_file() -> None:
    assert {"RIVYA_API_KEY", "DARKROOM_DATABASE_URL", "DARKROOM_BROKER_URL", "DARKROOM_OIDC_CLIENT_SECRET"} < SECRETS


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_each_is_read_from_the_file_that_its_variable_names(
    file: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RIVYA_API_KEY_FILE")
    monkeypatch.setenv(f"{name}_FILE", str(file))

    assert settings.secret(name) == "rvya_sk_1"


@pytest.mark.parametrize("mode", [0o444, 0o420, 0o404, 0o402, 0o777])
def test_a_file_that_others_can_read_or_change_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)

    [fault] = faults()

    assert fault.startswith("RIVYA_API_KEY_FILE: ")
    assert "chmod 0400" in fault
    assert "rvya" not in fault


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640])
def test_a_file_for_its_user_and_group_is_read(file: Path, mode: int) -> None:
    file.chmod(mode)

    assert load().api_key is not None


def test_a_file_of_another_user_is_refused(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(file, 12_345, -1)

    assert "belongs to another user" in faults()[0]


def test_a_secret_is_given_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIVYA_API_KEY", "rvya_sk_2")

    assert faults() == ("RIVYA_API_KEY_FILE: RIVYA_API_KEY is set, too: set one of the two",)


@pytest.mark.parametrize(
    ("content", "words"), [(b"\n", "is empty"), (b"x" * 70_000, "more than 64 KiB"), (b"\xff\xfe", "is not UTF-8")]
)
def test_what_is_no_secret_is_refused(file: Path, content: bytes, words: str) -> None:
    file.chmod(0o600)
    file.write_bytes(content)

    assert words in faults()[0]


def test_a_file_that_is_not_there_and_other_faults_are_reported_together(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.unlink()
    monkeypatch.setenv("DARKROOM_CONCURRENCY", "none")

    found = faults()

    assert found[0] == f"RIVYA_API_KEY_FILE: {file} cannot be read: No such file or directory"
    assert found[1].startswith("DARKROOM_CONCURRENCY: ")


def test_a_folder_is_no_secret(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIVYA_API_KEY_FILE", str(file.parent))

    assert "cannot be read" in faults()[0]
