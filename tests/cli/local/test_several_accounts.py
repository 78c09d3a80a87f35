"""Several accounts on one machine: those without any key are accounts of the sandbox, as one account is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Darkroom, started_up
from worker.cli.context import resolve
from worker.local import services

POOL = {"DARKROOM_ACCOUNTS": "shop,studio", "DARKROOM_POOLS__SHOP": "bulk", "DARKROOM_POOLS__STUDIO": "bulk"}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / ".darkroom"
    yield place
    services.erase(place)


@pytest.mark.acceptance
def test_without_keys_each_account_is_one_of_the_sandbox_and_has_the_same_key_after_a_restart(
    home: Path, tmp_path: Path, spawned: Darkroom, good_manifest: Path
) -> None:
    with started_up(tmp_path, **POOL):
        first = spawned("submit", str(good_manifest), "--pool", "bulk", "--wait", **POOL)
        topped = spawned("sandbox", "top-up", "500", DARKROOM_ACCOUNT="studio", **POOL)
        wallets = spawned("doctor", **POOL)
    with started_up(tmp_path, **POOL):
        second = spawned("submit", str(good_manifest), "--account", "studio", "--name", "again", "--wait", **POOL)
        books = spawned("audit", "verify", **POOL)

    assert first.returncode == 0, first.stdout + first.stderr
    assert "sandbox credits available to studio" in topped.stdout
    assert "shop: " in wallets.stdout
    assert "studio: " in wallets.stdout
    assert second.returncode == 0, second.stdout + second.stderr
    assert books.returncode == 0, books.stdout + books.stderr


@pytest.mark.parametrize(
    ("keyed", "mode"), [((), "sandbox"), (("SHOP",), "live"), (("STUDIO",), "live"), (("SHOP", "STUDIO"), "live")]
)
def test_a_key_of_any_account_means_real_credits(
    keyed: tuple[str, ...], mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in POOL.items():
        monkeypatch.setenv(name, value)
    for each in keyed:
        monkeypatch.setenv(f"RIVYA_API_KEY__{each}", "rvya_sk_of_the_real_provider")
    monkeypatch.chdir(tmp_path)

    context = resolve(needs_database=False)

    assert context.mode == mode
    assert context.settings.store_url.endswith("sandbox-images" if mode == "sandbox" else "images")
