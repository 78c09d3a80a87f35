"""Sign-in through an OpenID Connect provider: real HTTP, real signatures."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from joserfc import jwk, jwt
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.web.serving import Web, serving, with_settings
from worker.web import oidc
from worker.web.context import WebContext

PUBLIC = "https://darkroom.example"


@dataclass
class Issuer:
    """An identity provider that vouches for whom a test says."""

    server: HTTPServer
    key: jwk.RSAKey
    now: int
    claims: dict[str, object] = field(default_factory=dict)
    signed_with: jwk.RSAKey | None = None
    asked: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return str(self.server.url_for("")).rstrip("/")

    def listen(self) -> None:
        self.server.expect_request("/.well-known/openid-configuration").respond_with_json(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            }
        )
        self.server.expect_request("/keys").respond_with_json({"keys": [self.key.as_dict(private=False)]})
        self.server.expect_request("/token", method="POST").respond_with_handler(self.token)

    def token(self, request: Request) -> Response:
        self.asked = {name: values[0] for name, values in parse_qs(request.get_data(as_text=True)).items()}
        claims = {"iss": self.url, "aud": "darkroom", "exp": self.now + 300, "iat": self.now} | self.claims
        signed = jwt.encode({"alg": "RS256"}, claims, self.signed_with or self.key)
        return Response(
            json.dumps({"access_token": "a", "token_type": "Bearer", "id_token": signed}), mimetype="application/json"
        )


@pytest.fixture
def issuer(httpserver: HTTPServer, context: WebContext) -> Issuer:
    found = Issuer(server=httpserver, key=jwk.RSAKey.generate_key(2048), now=int(context.clock().timestamp()))
    found.listen()
    return found


@pytest.fixture
def web(context: WebContext, issuer: Issuer) -> Iterator[Web]:
    settings = {"oidc_issuer": issuer.url, "oidc_client_id": "darkroom", "web_url": PUBLIC}
    with serving(with_settings(context, **settings)) as found:
        found.user("mia@example.com", "viewer")
        yield found


def begin(web: Web) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the browser is sent to the provider with, and the cookie that it keeps."""
    answer = requests.get(f"{web.url}/sign-in/oidc", timeout=10, allow_redirects=False)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    return asked, {"darkroom_oidc": answer.cookies["darkroom_oidc"]} if answer.cookies else {
        "darkroom_oidc": answer.headers["set-cookie"].split("=", 1)[1].split(";", 1)[0]
    }


def come_back(web: Web, cookies: dict[str, str], **query: str) -> requests.Response:
    header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    return requests.get(
        f"{web.url}/sign-in/oidc/callback", params=query, headers=header, timeout=10, allow_redirects=False
    )


MIA = {"email": "mia@example.com", "email_verified": True}


def test_a_user_for_whom_the_provider_vouches_is_signed_in(web: Web, issuer: Issuer) -> None:
    asked, cookies = begin(web)
    issuer.claims = {**MIA, "nonce": asked["nonce"]}

    answer = come_back(web, cookies, state=asked["state"], code="c")

    assert answer.status_code == 303
    assert answer.headers["set-cookie"].startswith("__Host-darkroom=")
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{PUBLIC}/sign-in/oidc/callback"
    assert issuer.asked["code_verifier"] in cookies["darkroom_oidc"]


@pytest.mark.parametrize(
    "fault",
    [
        {"nonce": "another"},
        {"aud": "another"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"email_verified": False},
        {"email": None},
        {"email": "eve@example.com"},
    ],
    ids="-".join,
)
def test_a_token_that_is_not_for_this_sign_in_signs_nobody_in(
    fault: dict[str, object], web: Web, issuer: Issuer
) -> None:
    asked, cookies = begin(web)
    issuer.claims = {**MIA, "nonce": asked["nonce"]} | fault

    answer = come_back(web, cookies, state=asked["state"], code="c")

    assert answer.status_code == 403
    assert "__Host-darkroom=" not in answer.headers.get("set-cookie", "")


def test_a_token_of_another_key_signs_nobody_in(web: Web, issuer: Issuer) -> None:
    asked, cookies = begin(web)
    issuer.claims = {**MIA, "nonce": asked["nonce"]}
    issuer.signed_with = jwk.RSAKey.generate_key(2048)

    assert come_back(web, cookies, state=asked["state"], code="c").status_code == 403


def test_a_sign_in_that_this_browser_did_not_begin_is_refused(web: Web, issuer: Issuer) -> None:
    asked, cookies = begin(web)
    issuer.claims = {**MIA, "nonce": asked["nonce"]}

    assert come_back(web, {}, state=asked["state"], code="c").status_code == 403
    assert come_back(web, cookies, state="another", code="c").status_code == 403


def test_a_provider_that_does_not_answer_is_named(context: WebContext) -> None:
    settings = {"oidc_issuer": "http://127.0.0.1:9", "oidc_client_id": "darkroom", "web_url": PUBLIC}
    with serving(with_settings(context, **settings)) as web:
        answer = requests.get(f"{web.url}/sign-in/oidc", timeout=10, allow_redirects=False)

    assert answer.status_code == 502
    assert "identity provider does not answer" in answer.text


@pytest.mark.parametrize("place", ["/.well-known/openid-configuration", "/token", "/keys"])
def test_a_provider_whose_answers_drip_holds_a_sign_in_no_longer_than_its_deadline(
    place: str, web: Web, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes in time for a deadline that counts from the last one."""
    asked, cookies = begin(web)
    issuer.claims = {**MIA, "nonce": asked["nonce"]}
    over = threading.Event()

    def drip() -> Iterator[bytes]:
        while not over.wait(0.05):
            yield b" "

    monkeypatch.setattr(oidc, "TOTAL_S", 1.0)
    issuer.server.clear_all_handlers()
    issuer.server.expect_request(place).respond_with_handler(lambda _: Response(drip(), mimetype="application/json"))
    issuer.listen()
    try:
        answer = come_back(web, cookies, state=asked["state"], code="c")
    finally:
        over.set()

    assert answer.status_code == 403
    assert oidc.TOTAL_S <= answer.elapsed.total_seconds() < 5
