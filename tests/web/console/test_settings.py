"""Users, tokens, hooks and accounts are managed in the console, by who may, and each change has its author."""

import pytest
import requests

from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web, serving, with_settings
from worker.accounts.queries import account_limits
from worker.hooks.queries import hooks
from worker.web.context import WebContext
from worker.web.queries import identity


@pytest.fixture
def admin(web: Web) -> requests.Session:
    return signed_in(web)


def post(browser: requests.Session, web: Web, path: str, **fields: str) -> requests.Response:
    return browser.post(web.url + path, data=fields, timeout=30)


def secret_of(answer: requests.Response) -> str:
    return answer.text.partition('<code id="secret-value">')[2].partition("</code>")[0]


def log(browser: requests.Session, web: Web) -> str:
    return text_of(get(browser, web, "/audit-log"))


def test_a_user_is_added_given_other_roles_and_disabled(web: Web, admin: requests.Session) -> None:
    added = post(admin, web, "/settings/users", **{"name": "mia", "role-operator": "1", "role-viewer": "1"})
    mia = web.browser("mia")
    changed = post(admin, web, "/settings/users/set", **{"name": "mia", "role-viewer": "1", "state": "active"})
    ended = get(mia, web, "/batches", status=303)
    disabled = post(admin, web, "/settings/users/set", **{"name": "mia", "role-viewer": "1", "state": "disabled"})

    assert "mia operator, viewer" in text_of(added)
    assert "mia viewer" in text_of(changed)
    assert ended.headers["location"].endswith("/sign-in")
    assert "disabled" in text_of(disabled)
    assert "web:ann" in log(admin, web)


@pytest.mark.parametrize("fields", [{"role-viewer": "1"}, {"role-admin": "1", "state": "disabled"}])
def test_nobody_locks_themselves_out(web: Web, admin: requests.Session, fields: dict[str, str]) -> None:
    answer = post(admin, web, "/settings/users/set", name="ann", **fields)

    assert (answer.status_code, "You would lock yourself out" in text_of(answer)) == (409, True)
    assert get(admin, web, "/settings").status_code == 200


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        ("/settings/users", {"name": "mia"}, "a user needs a role"),
        ("/settings/users", {"name": "mia", "role-king": "1"}, "there is no role"),
        ("/settings/users", {"name": "ann", "role-viewer": "1"}, "there is a user"),
        ("/settings/users", {"name": "", "role-viewer": "1"}, "name:"),
        ("/settings/users/set", {"name": "nobody", "role-viewer": "1"}, "there is no user"),
        ("/settings/tokens", {"name": "shop", "right-read": "1"}, "for which owner"),
        ("/settings/tokens", {"name": "shop", "all_owners": "1"}, "needs a right"),
        ("/settings/tokens", {"name": "shop", "all_owners": "1", "right-read": "1", "cap": "few"}, "whole number"),
        ("/settings/tokens", {"name": "shop", "all_owners": "1", "right-read": "1", "expires": "soon"}, "expires"),
        ("/settings/tokens/revoke", {"name": "shop"}, "there is no valid token"),
        ("/settings/hooks", {"target": "https://x.example/in"}, "name at least one event"),
        ("/settings/hooks", {"target": "not a target", "event-batch.done": "1"}, "is neither an address"),
    ],
)
def test_what_cannot_be_is_said_on_a_page_and_changes_nothing(
    web: Web, admin: requests.Session, path: str, fields: dict[str, str], said: str
) -> None:
    answer = post(admin, web, path, **fields)

    assert (answer.status_code, said in text_of(answer)) == (422, True)
    with web.context.database.transaction() as tx:
        assert (len(identity.users(tx)), identity.tokens(tx), hooks.all_(tx)) == (1, [], [])


def test_a_sign_in_link_is_shown_once_and_signs_its_user_in(web: Web, admin: requests.Session) -> None:
    web.user("mia", "viewer")

    link = secret_of(post(admin, web, "/settings/users/link", name="mia"))

    browser = requests.Session()
    browser.headers["Sec-Fetch-Site"] = "same-origin"
    assert browser.post(link, timeout=10, allow_redirects=False).status_code == 303
    assert "mia" in text_of(get(browser, web, "/"))
    assert link not in get(admin, web, "/settings").text
    assert "a sign-in link was asked for" in log(admin, web)


def test_no_link_is_made_where_a_proxy_tells_who_people_are(context: WebContext) -> None:
    with serving(context) as web:
        admin = signed_in(web)
    with serving(with_settings(context, oidc_issuer="https://id.example")) as web:
        shown = get(admin, web, "/settings")
        answer = post(admin, web, "/settings/users/link", name="ann")

    assert "Sign-in link" not in shown.text
    assert answer.status_code == 403


def test_a_token_is_shown_once_acts_for_its_maker_within_its_bounds_and_is_revoked(
    web: Web, admin: requests.Session
) -> None:
    asked = {"name": "shop", "right-read": "1", "owner": "studio", "priority": "refresh", "cap": "4,000"}
    made = post(admin, web, "/settings/tokens", **asked, expires="90d")
    secret = secret_of(made)
    headers = {"Authorization": f"Bearer {secret}"}

    before = requests.get(f"{web.url}/api/v1/batches", headers=headers, timeout=10).status_code
    page = get(admin, web, "/settings")
    revoked = post(admin, web, "/settings/tokens/revoke", name="shop", reason="it leaked")
    after = requests.get(f"{web.url}/api/v1/batches", headers=headers, timeout=10).status_code

    with web.context.database.transaction() as tx:
        [token] = identity.tokens(tx)
    assert (token.user, token.owner, token.max_priority, token.credit_cap) == ("ann", "studio", "refresh", 4000)
    assert (before, after) == (200, 401)
    assert secret.startswith("dkr_")
    assert secret not in page.text
    assert "revoked" in text_of(revoked)
    assert "it leaked" in log(admin, web)


def test_a_hook_is_added_tested_rotated_and_removed(web: Web, admin: requests.Session) -> None:
    asked = {"target": "https://x.example/in", "event-batch.done": "1", "event-account.paused": "1"}
    first = secret_of(post(admin, web, "/settings/hooks", **asked))
    with web.context.database.transaction() as tx:
        [hook] = hooks.all_(tx)
    path = f"/settings/hooks/{hook.id}"

    tested = post(admin, web, f"{path}/test")
    shown = text_of(get(admin, web, path))
    second = secret_of(post(admin, web, f"{path}/rotate"))
    removed = post(admin, web, f"{path}/remove", reason="moved")

    assert first.startswith("whsec_")
    assert second.startswith("whsec_")
    assert first != second
    assert "A test event is on its way" in text_of(tested)
    assert "hook.test" in shown
    assert "No hook yet" in text_of(removed)
    assert get(admin, web, path, status=404).status_code == 404
    assert "moved" in log(admin, web)


def test_what_a_hook_missed_is_sent_again(web: Web, admin: requests.Session) -> None:
    post(admin, web, "/settings/hooks", **{"target": "https://x.example/in", "event-batch.done": "1"})
    with web.context.database.transaction() as tx:
        [hook] = hooks.all_(tx)
    path = f"/settings/hooks/{hook.id}"
    post(admin, web, f"{path}/test")
    with web.context.database.transaction() as tx:
        hooks.give_up_all(tx, hook.id, now=web.context.clock(), error="it was away")

    answer = post(admin, web, f"{path}/replay")

    assert "1 sent again" in text_of(answer)
    assert "it was away" in text_of(answer)
    with web.context.database.transaction() as tx:
        assert hooks.all_(tx)[0].waiting == 1


def test_who_is_no_administrator_changes_nothing(web: Web, admin: requests.Session) -> None:
    other = signed_in(web, "operator", "finance")

    for path in (
        "/settings/users",
        "/settings/users/set",
        "/settings/users/link",
        "/settings/tokens",
        "/settings/tokens/revoke",
        "/settings/hooks",
    ):
        assert post(other, web, path, **{"name": "ann", "role-viewer": "1", "target": "x"}).status_code == 403


def account(web: Web) -> account_limits.AccountView:
    with web.context.database.transaction() as tx:
        found = account_limits.view(tx, web.context.settings.account, now=web.context.clock())
    assert found is not None
    return found


def test_an_operator_pauses_resumes_and_limits_an_account(web: Web, admin: requests.Session) -> None:
    operator, name = signed_in(web, "operator"), web.context.settings.account
    paused = text_of(post(operator, web, "/accounts/pause", account=name, reason="the provider asked"))
    is_paused = account(web).pause_reason
    resumed = text_of(post(operator, web, "/accounts/resume", account=name))
    post(operator, web, "/accounts/limits", account=name, rate="2.5", read_rate="", max_in_flight="40")

    found = account(web)
    assert (is_paused, found.pause_reason) == ("operator", None)
    assert (found.rate, found.is_rate_learned, found.read_rate, found.max_in_flight) == (2.5, False, None, 40)
    assert "operator (web:operator: the provider asked)" in paused
    assert "The account works again" in resumed
    assert "the provider asked" in log(admin, web)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"rate": "fast", "max_in_flight": "4"}, 422),
        ({"rate": "-1", "max_in_flight": "4"}, 422),
        ({"rate": "nan", "max_in_flight": "4"}, 422),
        ({"rate": "1", "max_in_flight": "0"}, 422),
        ({"rate": "1", "max_in_flight": "4", "account": "other"}, 404),
    ],
)
def test_impossible_limits_change_nothing(web: Web, fields: dict[str, str], status: int) -> None:
    operator, before = signed_in(web, "operator"), account(web)

    answer = post(operator, web, "/accounts/limits", **{"account": web.context.settings.account, **fields})

    assert (answer.status_code, account(web)) == (status, before)


def test_who_may_only_read_sees_accounts_and_changes_none(web: Web) -> None:
    reader = signed_in(web, "viewer", "finance")

    assert "<dialog" not in get(reader, web, "/accounts").text
    for path in ("/accounts/pause", "/accounts/resume", "/accounts/limits"):
        assert post(reader, web, path, account=web.context.settings.account).status_code == 403
