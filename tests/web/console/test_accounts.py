"""Accounts in the console: webhooks of the provider, a new key of the same account, nodes, and who pays."""

import re
from collections.abc import Iterator
from uuid import UUID

import pytest
import requests
from pydantic import SecretStr
from sqlalchemy import text

from tests.fixtures.provider import Provider
from tests.pipeline.conftest import process, sandbox
from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web, serving, with_settings
from worker.node.queries import nodes
from worker.node.queries.nodes import Beat
from worker.web.context import WebContext

__all__ = ["process", "sandbox"]

ADDRESS = "http://127.0.0.1:9/webhooks/provider"
NODE = UUID("01a226fb-54b2-7744-9e6d-edb8c238260d")


@pytest.fixture
def web(context: WebContext, sandbox: Provider) -> Iterator[Web]:
    """Yield a server that has the key of its account at a sandbox, which sends webhooks to this machine."""
    sandbox.set(webhook_loopback=True)
    with serving(with_settings(context, base_url=sandbox.base_url, api_key=SecretStr(sandbox.key))) as found:
        yield found


@pytest.fixture
def path(web: Web) -> str:
    return f"/accounts/{web.context.settings.account}/webhooks"


def post(browser: requests.Session, web: Web, path: str, **fields: str) -> requests.Response:
    return browser.post(web.url + path, data=fields, timeout=60)


def added(browser: requests.Session, web: Web, path: str, **fields: str) -> requests.Response:
    return post(browser, web, path, **{"address": ADDRESS, "verifier-standard": "1", **fields})


def test_a_webhook_is_added_tested_given_a_new_secret_and_removed(web: Web, path: str) -> None:
    admin = signed_in(web)

    made = added(admin, web, path, reason="fewer polls")
    url = re.findall(rf"<code>({ADDRESS}/[^<]+)</code>", made.text)[0]
    shown = get(admin, web, path)
    webhook = re.findall(r'name="webhook" value="([^"]+)"', shown.text)[0]
    tested, rotated, removed = (
        text_of(post(admin, web, f"{path}/{what}", webhook=webhook)) for what in ("test", "rotate", "remove")
    )

    assert (len(url.rpartition("/")[2]), url in shown.text) == (43, False)
    assert f"{ADDRESS} {webhook} active standard" in text_of(shown)
    assert "The provider was asked for a test event" in tested
    assert "The provider signs with a new secret" in rotated
    assert "The webhook is removed" in removed
    assert "No webhook yet" in removed
    log = text_of(get(admin, web, "/audit-log"))
    assert "fewer polls" in log
    assert url not in log


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"address": "http://example.com/in"}, 422), ({"verifier-standard": ""}, 422), ({"address": ""}, 422)],
)
def test_a_webhook_that_cannot_be_is_not_registered(web: Web, path: str, fields: dict[str, str], status: int) -> None:
    admin = signed_in(web)

    answer = added(admin, web, path, **fields)

    assert answer.status_code == status
    assert "No webhook yet" in text_of(get(admin, web, path))


def test_webhooks_are_seen_by_operators_and_changed_by_administrators(web: Web, path: str) -> None:
    operator = signed_in(web, "operator")

    assert "<dialog" not in get(operator, web, path).text
    get(signed_in(web, "viewer"), web, path, status=403)
    get(operator, web, "/accounts/nothing/webhooks", status=404)
    for what in ("", "/test", "/rotate", "/remove"):
        assert post(operator, web, path + what, webhook="x").status_code == 403


def test_what_is_known_here_is_shown_while_the_provider_does_not_answer(web: Web, path: str, sandbox: Provider) -> None:
    added(signed_in(web), web, path)
    with serving(with_settings(web.context, base_url="http://127.0.0.1:9", api_key=SecretStr("rvya_sk_x"))) as away:
        lost = away.browser("ann")
        shown = text_of(get(lost, away, path))
        tested = post(lost, away, f"{path}/test", webhook="x")

    with serving(with_settings(web.context, api_key=None)) as without:
        keyless = text_of(get(without.browser("ann"), without, path))
        refused = post(without.browser("ann"), without, f"{path}/test", webhook="x")

    assert "What the provider has is not known" in shown
    assert ADDRESS in shown
    assert (tested.status_code, refused.status_code) == (502, 503)
    assert "this process has no key of the account" in keyless


def test_a_new_key_of_the_same_account_is_taken_on_a_persons_word_with_a_reason(web: Web) -> None:
    operator, name = signed_in(web, "operator"), web.context.settings.account

    silent = post(operator, web, "/accounts/same-key", account=name)
    other = post(operator, web, "/accounts/same-key", account="nothing", reason="x")
    done = post(operator, web, "/accounts/same-key", account=name, reason="their support said so")

    assert (silent.status_code, other.status_code) == (422, 404)
    assert "The key is taken as one of the same account" in text_of(done)
    with web.context.database.transaction() as tx:
        assert tx.execute(text("SELECT key_mark IS NOT NULL FROM account")).scalar_one() is True


def test_who_pays_for_an_owner_is_set_and_lifted(web: Web) -> None:
    operator, name = signed_in(web, "operator"), web.context.settings.account

    chosen = post(operator, web, "/accounts/owner", owner="studio", pays=f"account:{name}", reason="their budget")
    wrong = [
        post(operator, web, "/accounts/owner", owner=owner, pays=pays).status_code
        for owner, pays in (("studio", "account:nothing"), ("studio", "pool:nothing"), ("studio", "card"), ("", ""))
    ]
    lifted = post(operator, web, "/accounts/owner", owner="studio", pays="")

    assert f"studio account {name}" in text_of(chosen)
    assert wrong == [422] * 4
    assert "No owner has an account of its own" in text_of(lifted)
    assert "their budget" in text_of(get(signed_in(web), web, "/audit-log"))


def test_nodes_are_listed_with_their_state(web: Web) -> None:
    viewer = signed_in(web, "viewer")

    before = text_of(get(viewer, web, "/accounts"))
    with web.context.database.transaction() as tx:
        nodes.beat(tx, Beat(node_id=NODE, name="studio-1", version="1", round_age_s=1, clock_offset_s=3, error="lost"))
    after = text_of(get(viewer, web, "/accounts"))

    assert "No worker node runs" in before
    assert "studio-1 1 at work" in after
    assert "off by 3.0 s lost" in after


def test_a_webhook_that_is_asked_for_twice_is_registered_and_given_a_secret_once(web: Web, path: str) -> None:
    browser, form = signed_in(web), {"form": str(NODE)}

    answers = [added(browser, web, path, **form) for _ in range(2)]
    with web.context.database.transaction() as tx:
        [webhook] = tx.execute(text("SELECT id FROM webhook_endpoint")).scalars()
    rotated = [post(browser, web, f"{path}/rotate", webhook=str(webhook), **form) for _ in range(2)]

    assert [each.status_code for each in (*answers, *rotated)] == [200, 409, 200, 409]
    with web.context.database.transaction() as tx:
        changed = "SELECT count(*) FROM change WHERE after = 'rotated'"
        assert tx.execute(text(changed)).scalar_one() == 1
