"""Sign-in through an OpenID Connect provider: the authorization code flow with PKCE, state and nonce.

Authlib speaks OAuth, joserfc checks the signature. All that is asked of the provider for one request of a browser has
one deadline, so that answers which drip hold no thread.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from worker.core import http
from worker.core.rules.errors import DarkroomError
from worker.provider.session import Adapter

TOTAL_S = 20.0
"""For all answers of the provider together, from the first connection on."""
_TIMEOUT_S = 10.0
"""For one connection, and for one read."""
_LEEWAY_S = 60
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")


class SignInFailed(DarkroomError):
    """The identity provider did not vouch for a user."""

    error_code = "sign_in_failed"


@dataclass(frozen=True, kw_only=True)
class Client:
    """How this server is known at the identity provider."""

    issuer: str
    client_id: str
    client_secret: str
    claim: str
    """The claim that holds the name of the user."""
    redirect_uri: str


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A sign-in in progress, kept in the browser's cookie."""

    state: str
    nonce: str
    verifier: str

    def dump(self) -> str:
        """Return it as text for a cookie."""
        return f"{self.state}.{self.nonce}.{self.verifier}"

    @classmethod
    def parse(cls, value: str | None) -> "Attempt | None":
        """Read what ``dump`` wrote; None for anything else."""
        parts = (value or "").split(".")
        return cls(state=parts[0], nonce=parts[1], verifier=parts[2]) if len(parts) == 3 and all(parts) else None  # noqa: PLR2004


def begin(client: Client) -> tuple[str, Attempt]:
    """Return where to send the browser, and what it has to bring back; raises SignInFailed."""
    begun = Attempt(
        state=secrets.token_urlsafe(24), nonce=secrets.token_urlsafe(24), verifier=secrets.token_urlsafe(48)
    )
    with _deadline():
        found = _discover(client)
    url, _ = _session(client).create_authorization_url(
        found["authorization_endpoint"],
        state=begun.state,
        nonce=begun.nonce,
        code_verifier=begun.verifier,
    )
    return str(url), begun


@contextmanager
def _deadline() -> Iterator[None]:
    with http.Attempt(total_s=TOTAL_S) as calls:
        yield
    if calls.is_over:
        # A body without a length that was cut looks like a whole one.
        raise SignInFailed(f"the identity provider did not answer within {TOTAL_S:g} s")


def finish(client: Client, begun: Attempt, *, url: str, now: datetime) -> str:
    """Return the name of the user for whom the provider vouches; ``url`` is the one that the browser came back to.

    Raises SignInFailed.
    """
    try:
        with _deadline():
            found = _discover(client)
            token = _session(client).fetch_token(
                found["token_endpoint"],
                authorization_response=url,
                state=begun.state,
                code_verifier=begun.verifier,
                timeout=_TIMEOUT_S,
            )
            keys = KeySet.import_key_set(cast(KeySetSerialization, _get(found["jwks_uri"])))
        claims = jwt.decode(str(token.get("id_token", "")), keys, algorithms=list(_ALGORITHMS)).claims
        jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": client.issuer},
            aud={"essential": True, "value": client.client_id},
            exp={"essential": True},
            nonce={"essential": True, "value": begun.nonce},
        ).validate(claims)
    except (AuthlibBaseError, JoseError, requests.RequestException, ValueError) as error:
        raise SignInFailed(f"the identity provider did not vouch for you: {error}") from error
    return _name(client, claims)


def _name(client: Client, claims: dict[str, Any]) -> str:
    name = claims.get(client.claim)
    if not isinstance(name, str) or not name:
        raise SignInFailed(f"the identity provider names no {client.claim!r}: set DARKROOM_OIDC_CLAIM")
    if client.claim == "email" and claims.get("email_verified") is not True:
        raise SignInFailed(f"the identity provider has not verified the address {name}")
    return name


def _session(client: Client) -> OAuth2Session:
    session = OAuth2Session(
        client.client_id,
        client.client_secret,
        scope="openid email profile",
        redirect_uri=client.redirect_uri,
        code_challenge_method="S256",
        default_timeout=_TIMEOUT_S,
    )
    _bound(session)
    return session


def _bound(session: requests.Session) -> None:
    """Have the deadline of the calling thread cut the session's connections."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())


_DISCOVERED = frozenset({"authorization_endpoint", "token_endpoint", "jwks_uri"})


def _discover(client: Client) -> dict[str, Any]:
    found = _get(f"{client.issuer.rstrip('/')}/.well-known/openid-configuration")
    if found.get("issuer") != client.issuer or not all(isinstance(found.get(name), str) for name in _DISCOVERED):
        raise SignInFailed(f"{client.issuer} does not describe itself as this issuer: see DARKROOM_OIDC_ISSUER")
    return found


def _get(url: str) -> dict[str, Any]:
    try:
        with requests.Session() as session:
            _bound(session)
            answer = session.get(url, timeout=_TIMEOUT_S, allow_redirects=False)
        answer.raise_for_status()
        found = answer.json()
    except (requests.RequestException, json.JSONDecodeError) as error:
        raise SignInFailed(f"the identity provider does not answer as expected: {error}") from error
    if not isinstance(found, dict):
        raise SignInFailed(f"{url} is not an object")
    return found
