"""Who a request acts as: closed by default, and the same identity whatever way it came."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest
import requests
from sqlalchemy import text

from tests.web.serving import Web, serving, with_settings
from worker.core.rules.batch_request import Priority
from worker.core.rules.setting_values import parse_networks
from worker.web import sessions, tokens
from worker.web.context import WebContext
from worker.web.rules.identity import Principal, Right
from worker.web.server import ListensTooWide, check_listening
from worker.web.tokens import IdentityFaulty, TokenRequest


def changes(web: Web) -> list[tuple[str, str, str]]:
    with web.context.database.transaction() as tx:
        return [tuple(row) for row in tx.execute(text("SELECT subject, field, actor FROM change ORDER BY id"))]


def home(web: Web, browser: requests.Session | None = None, **arguments: object) -> requests.Response:
    return (browser or requests.Session()).get(web.url, timeout=10, allow_redirects=False, **arguments)  # type: ignore[arg-type]


def test_without_an_identity_a_person_is_sent_to_sign_in(web: Web) -> None:
    answer = home(web)

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


def test_a_link_signs_in_once_and_the_log_says_who_came_from_where(web: Web) -> None:
    web.user("mia", "viewer")
    with web.context.database.transaction() as tx:
        path = sessions.new_link(tx, web.by, "mia")
    headers = {"Sec-Fetch-Site": "same-origin"}
    looked = requests.get(web.url + path, timeout=10)

    first, second = (requests.post(web.url + path, headers=headers, timeout=10, allow_redirects=False) for _ in "12")

    assert looked.status_code == 200
    assert (first.status_code, second.status_code) == (303, 403)
    assert "mia" in requests.get(web.url, cookies=first.cookies, timeout=10).text
    assert ("user:mia", "signed_in", "web:mia") in changes(web)


def signed_in_at(web: Web, name: str, cookies: Mapping[str, str]) -> requests.Response:
    """Use a link of the user in a browser that has these cookies."""
    web.user(name, "viewer")
    with web.context.database.transaction() as tx:
        path = sessions.new_link(tx, web.by, name)
    headers = {"Sec-Fetch-Site": "same-origin"}
    return requests.post(web.url + path, headers=headers, cookies=dict(cookies), timeout=10, allow_redirects=False)


@pytest.mark.parametrize(
    ("prefix", "path"), [("", "/batches?state=failed&q=a%20vase"), ("/darkroom", "/batches?state=failed&q=a%20vase")]
)
def test_a_sign_in_returns_to_the_page_that_was_asked_for(context: WebContext, prefix: str, path: str) -> None:
    with serving(with_settings(context, web_url=f"http://127.0.0.1{prefix}")) as web:
        asked = requests.get(web.url + path, headers={"Accept": "text/html"}, timeout=10, allow_redirects=False)
        answer = signed_in_at(web, "mia", asked.cookies)

    assert asked.headers["location"] == f"{prefix}/sign-in"
    assert (answer.status_code, answer.headers["location"]) == (303, prefix + path)
    assert 'darkroom_asked=""' in answer.headers["set-cookie"]


def test_a_part_of_a_page_whose_session_has_ended_is_returned_to_as_a_page(web: Web) -> None:
    headers = {"HX-Request": "true"}
    asked = requests.get(f"{web.url}/batches?owner=studio", headers=headers, timeout=10, allow_redirects=False)

    assert signed_in_at(web, "mia", asked.cookies).headers["location"] == "/batches?owner=studio"


def test_pictures_and_downloads_that_ask_without_a_session_are_not_returned_to(web: Web) -> None:
    headers = {"Accept": "image/avif,image/webp,*/*"}

    asked = requests.get(f"{web.url}/batches", headers=headers, timeout=10, allow_redirects=False)

    assert dict(asked.cookies) == {}


@pytest.mark.parametrize(
    "planted",
    ["//evil.example", "/\\evil.example", "https://evil.example/", "%2F%2Fevil.example", "/%09/evil.example", ""],
)
def test_a_sign_in_leads_to_no_other_host(web: Web, planted: str) -> None:
    answer = signed_in_at(web, "mia", {"darkroom_asked": quote(planted)})

    assert answer.headers["location"] in {"/", "/%09/evil.example"}


def test_a_link_is_worth_nothing_after_15_minutes(web: Web) -> None:
    web.user("mia", "viewer")
    with web.context.database.transaction() as tx:
        path = sessions.new_link(tx, web.by, "mia")
    later = web.context.clock() + timedelta(minutes=16)
    secret = path.rsplit("/", 1)[1]

    with web.context.database.transaction() as tx:
        late = sessions.sign_in_by_link(tx, secret, by=replace(web.by, now=later), address="127.0.0.1")

    assert late is None


def test_a_cookie_is_unreadable_for_scripts_and_bound_to_the_site(web: Web) -> None:
    web.user("mia", "viewer")
    with web.context.database.transaction() as tx:
        path = sessions.new_link(tx, web.by, "mia")

    answer = requests.post(web.url + path, headers={"Sec-Fetch-Site": "same-origin"}, timeout=10, allow_redirects=False)

    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_behind_https_the_cookie_is_secure_and_of_this_host_alone(context: WebContext) -> None:
    with serving(with_settings(context, web_url="https://darkroom.example")) as web:
        web.user("mia", "viewer")
        with context.database.transaction() as tx:
            path = sessions.new_link(tx, web.by, "mia")
        answer = requests.post(
            web.url + path, headers={"Origin": "https://darkroom.example"}, timeout=10, allow_redirects=False
        )

    assert answer.headers["set-cookie"].startswith("__Host-darkroom=")
    assert "secure" in answer.headers["set-cookie"].lower()


def test_signing_out_ends_the_session_at_the_server(web: Web) -> None:
    web.user("mia", "viewer")
    browser = web.browser("mia")
    kept = browser.cookies.copy()

    browser.post(f"{web.url}/sign-out", timeout=10)

    assert requests.get(web.url, cookies=kept, timeout=10, allow_redirects=False).status_code == 303


def test_a_session_ends_when_its_user_is_disabled_or_gets_other_roles(web: Web) -> None:
    web.user("mia", "viewer")
    browser = web.browser("mia")
    before = home(web, browser).status_code

    with web.context.database.transaction() as tx:
        sessions.set_user(tx, web.by, name="mia", is_disabled=True)

    assert (before, home(web, browser).status_code) == (200, 303)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
    ],
)
def test_a_page_of_another_site_changes_nothing(headers: dict[str, str], status: int, web: Web) -> None:
    web.user("mia", "viewer")
    browser = web.browser("mia")
    del browser.headers["Sec-Fetch-Site"]

    answer = browser.post(f"{web.url}/sign-out", headers=headers, timeout=10, allow_redirects=False)

    assert answer.status_code == status
    assert home(web, browser).status_code == (303 if status == 303 else 200)


def test_a_name_that_points_here_without_being_ours_is_refused(web: Web) -> None:
    assert home(web, headers={"Host": "evil.example"}).status_code == 400


def test_pages_permit_only_their_own_scripts_and_styles_and_no_frame(web: Web) -> None:
    first, second = home(web), home(web)

    policy = first.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert policy != second.headers["content-security-policy"]
    assert first.headers["cache-control"] == "no-store"
    assert first.headers["referrer-policy"] == "no-referrer"


def test_a_trusted_proxy_names_the_user_and_nobody_else_can(context: WebContext) -> None:
    trusted = with_settings(context, trusted_proxies=parse_networks("127.0.0.1/32"))
    foreign = with_settings(context, trusted_proxies=parse_networks("10.0.0.0/8"))
    name = {"X-Forwarded-User": "mia"}
    with serving(trusted) as web:
        web.user("mia", "viewer")
        by_proxy = home(web, headers=name)
        unknown = home(web, headers={"X-Forwarded-User": "eve"})
        unnamed = home(web)
    with serving(foreign) as web:
        by_anyone = home(web, headers=name)

    assert (by_proxy.status_code, unknown.status_code, unnamed.status_code) == (200, 403, 303)
    assert by_anyone.status_code == 303


def test_beyond_this_machine_it_listens_only_where_users_are_authenticated(context: WebContext) -> None:
    proxied = with_settings(context, trusted_proxies=parse_networks("10.0.0.1")).settings
    oidc = with_settings(
        context, oidc_issuer="https://id.example", oidc_client_id="darkroom", web_url="https://darkroom.example"
    ).settings

    with pytest.raises(ListensTooWide, match="DARKROOM_WEB_TRUSTED_PROXIES"):
        check_listening(context.settings, "0.0.0.0")
    for settings, host in ((context.settings, "127.0.0.1"), (context.settings, "::1"), (proxied, "0.0.0.0")):
        check_listening(settings, host)
    check_listening(oidc, "0.0.0.0")


class TestTokens:
    def principal(self, web: Web, secret: str) -> Principal | None:
        with web.context.database.transaction() as tx:
            return tokens.principal_of(tx, secret, now=web.context.clock())

    def made(self, web: Web, **bounds: object) -> str:
        with web.context.database.transaction() as tx:
            wanted = {"name": "shop", "user": "mia", "rights": frozenset({Right.READ}), "owner": "shop"} | bounds
            return tokens.create(tx, web.by, TokenRequest(**wanted))  # type: ignore[arg-type]

    def test_a_token_acts_for_its_owner_up_to_its_priority_and_cap(self, web: Web) -> None:
        web.user("mia", "operator")
        secret = self.made(web, max_priority=Priority.REFRESH, credit_cap=400)

        found = self.principal(web, secret)

        assert found == Principal(
            name="mia",
            actor="token:shop@mia",
            rights=frozenset({Right.READ}),
            owner="shop",
            max_priority=Priority.REFRESH,
            credit_cap=400,
        )
        assert [found.may_ask_for(each) for each in (Priority.BULK, Priority.REFRESH, Priority.INTERACTIVE)] == [
            True,
            True,
            False,
        ]

    def test_a_token_has_no_more_rights_than_its_user_has_now(self, web: Web) -> None:
        web.user("mia", "operator")
        secret = self.made(web, rights=frozenset({Right.READ, Right.SUBMIT}))
        with web.context.database.transaction() as tx:
            sessions.set_user(tx, web.by, name="mia", roles=["viewer"])

        found = self.principal(web, secret)

        assert found is not None
        assert found.rights == {Right.READ}
        with pytest.raises(IdentityFaulty, match="has no right to admin"):
            self.made(web, name="more", rights=frozenset({Right.ADMIN}))

    def test_the_secret_is_not_kept(self, web: Web) -> None:
        web.user("mia", "operator")
        secret = self.made(web)

        with web.context.database.transaction() as tx:
            rows = tx.execute(text("SELECT t::text FROM api_token t UNION ALL SELECT c::text FROM change c")).scalars()
            assert not any(secret in row or secret[12:] in row for row in rows)

    @pytest.mark.parametrize("end", ["revoked", "expired", "disabled"])
    def test_a_token_that_has_ended_is_worth_nothing(self, end: str, web: Web) -> None:
        web.user("mia", "operator")
        now = web.context.clock()
        secret = self.made(web, expires_at=now if end == "expired" else None)
        with web.context.database.transaction() as tx:
            if end == "revoked":
                tokens.revoke(tx, web.by, "shop")
            if end == "disabled":
                sessions.set_user(tx, web.by, name="mia", is_disabled=True)

        assert self.principal(web, secret) is None
        assert home(web, headers={"Authorization": f"Bearer {secret}"}).status_code == 303

    def test_a_name_is_not_used_again(self, web: Web) -> None:
        web.user("mia", "operator")
        self.made(web)

        with pytest.raises(IdentityFaulty, match="not used again"):
            self.made(web)


def test_an_unknown_role_is_refused_with_those_that_there_are(web: Web) -> None:
    with pytest.raises(IdentityFaulty, match="viewer, reviewer, operator, finance, admin"):
        web.user("mia", "boss")
