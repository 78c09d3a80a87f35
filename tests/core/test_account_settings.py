"""Several accounts in the settings: by names in the environment, or in a TOML file that holds no key."""

import os
from pathlib import Path

import pytest

from worker.core.rules.states import StepKind
from worker.node.app import queues, threads
from worker.settings import SettingsFaulty, load

KEYS = {"RIVYA_API_KEY__SHOP": "rvya_sk_1", "RIVYA_API_KEY__STUDIO": "rvya_sk_2"}
FILE = """
[[account]]
name = "shop"
key_file = "{key}"
rate = 7
pools = ["bulk"]

[[account]]
name = "studio"
base_url = "https://other.example"
"""


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with nothing said of accounts."""
    for name in os.environ:
        if name.startswith(("RIVYA_", "DARKROOM_ACCOUNT", "DARKROOM_RATE", "DARKROOM_POOLS")):
            monkeypatch.delenv(name)


def given(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)


def faults() -> str:
    with pytest.raises(SettingsFaulty) as found:
        load()
    return str(found.value)


def test_without_a_list_the_one_account_is_that_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, RIVYA_API_KEY="rvya_sk_0", DARKROOM_CONCURRENCY="16")

    chosen = load()

    assert (chosen.account, chosen.accounts) == ("default", ())
    assert chosen.served == (chosen,)
    assert queues(chosen) == (
        *(f"darkroom.{kind}" for kind in StepKind),
        *("darkroom.probe", "darkroom.maintenance", "darkroom.enqueue"),
    )
    assert threads(chosen) == 16


def test_each_account_has_its_own_settings_and_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **KEYS, DARKROOM_ACCOUNTS="shop, studio", DARKROOM_RATE="5", DARKROOM_RATE__STUDIO="9")
    given(monkeypatch, DARKROOM_POOLS__SHOP="bulk,night")

    chosen = load()

    assert [each.account for each in chosen.accounts] == ["shop", "studio"]
    assert [each.rate for each in chosen.accounts] == [5, 9]
    assert chosen.accounts[0].pools == {"bulk", "night"}
    assert chosen.account == "shop"


def test_a_node_reads_the_queues_of_the_accounts_with_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, DARKROOM_ACCOUNTS="shop,studio", RIVYA_API_KEY__STUDIO="rvya_sk_2")

    chosen = load()

    assert [each.account for each in chosen.served] == ["studio"]
    assert {queue for queue in queues(chosen) if "submit" in queue} == {"darkroom.submit.studio"}
    assert "darkroom.enqueue" in queues(chosen)


def test_each_of_several_accounts_has_as_many_threads_as_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **KEYS, DARKROOM_ACCOUNTS="shop,studio", DARKROOM_CONCURRENCY="16")

    assert threads(load()) >= 2 * 16


def test_a_file_has_everything_but_the_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key, file = tmp_path / "key", tmp_path / "accounts.toml"
    key.write_text("rvya_sk_1\n")
    key.chmod(0o400)
    file.write_text(FILE.format(key=key))
    given(monkeypatch, DARKROOM_ACCOUNTS=str(file), RIVYA_API_KEY__STUDIO="rvya_sk_2")

    shop, studio = load().accounts

    assert shop.api_key is not None
    assert shop.api_key.get_secret_value() == "rvya_sk_1"
    assert (shop.rate, sorted(shop.pools), studio.base_url) == (7, ["bulk"], "https://other.example")
    assert len(load().served) == 2


def test_an_account_without_a_name_of_its_own_is_served_beside_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **KEYS, DARKROOM_ACCOUNTS="shop,studio", RIVYA_API_KEY="rvya_sk_0")

    chosen = load()

    assert chosen.account == "default"
    assert [each.account for each in chosen.served] == ["default", "shop", "studio"]


def test_the_default_may_be_one_of_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **KEYS, DARKROOM_ACCOUNTS="shop,studio", DARKROOM_ACCOUNT="studio")

    chosen = load()

    assert chosen.account == "studio"
    assert chosen.api_key == chosen.accounts[1].api_key


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DARKROOM_ACCOUNTS": "shop,shop"}, "same name"),
        ({"DARKROOM_ACCOUNTS": "a-b,a_b"}, "differ only in"),
        ({"DARKROOM_ACCOUNTS": "a shop"}, "letters, digits"),
        ({"DARKROOM_ACCOUNTS": "shop", "DARKROOM_ACCOUNT": "studio"}, "studio is none of"),
        ({"DARKROOM_ACCOUNTS": "shop", "DARKROOM_RATE__SHOP": "fast"}, "account shop: DARKROOM_RATE"),
        ({"DARKROOM_ACCOUNTS": "nowhere.toml"}, "nowhere.toml cannot be read"),
    ],
)
def test_what_is_wrong_with_the_accounts_is_said_at_the_start(
    variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, **variables)

    assert said in faults()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no table [[account]]"),
        ("account = 5", "no table [[account]]"),
        ("[[account]]\nname = 'shop'\nkey = 'rvya_sk_1'", "has key; an account may have"),
        ("[[account]]\nname = 'shop'\nkey_file = '/nowhere'", "/nowhere cannot be read"),
    ],
)
def test_a_faulty_file_says_why_and_no_key_may_be_in_it(
    text: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(text)
    given(monkeypatch, DARKROOM_ACCOUNTS=str(file))

    found = faults()

    assert said in found
    assert "rvya" not in found
