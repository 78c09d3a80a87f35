"""A database that proves who it is: nodes, web and commands check its certificate, and refuse another."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.acceptance import books, manifests, webs
from tests.acceptance import world as worlds
from tests.acceptance.world import World
from tests.conftest import quick_place
from tests.fixtures import databases, postgres_servers
from tests.fixtures.postgres_servers import Server
from tests.fixtures.provider import Provider

pytestmark = pytest.mark.chaos

TLS_ONLY = "hostssl all all 127.0.0.1/32 scram-sha-256\n"
IN_TLS = """
    SELECT bool_and(ssl) AS ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
    WHERE application_name = 'darkroom'"""
OTHER_CA = "SSL error: certificate verify failed"
OTHER_HOST = 'does not match host name "127.0.0.1"'


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A certificate authority of a test's own."""

    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    def certificate(self, key: ec.EllipticCurvePrivateKey, host: str | None) -> bytes:
        """Return a certificate for the host, or the authority's own."""
        subject = self.name if host is None else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host is not None:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def authority(name: str) -> Authority:
    return Authority(
        key=ec.generate_private_key(ec.SECP256R1()), name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture
def proved(tmp_path: Path) -> Iterator[Server]:
    """Yield a server that speaks TLS only, as ``localhost``; its CA and another are in the test's folder."""
    found = next((each for each in postgres_servers.installations() if each.has_tls), None)
    if found is None:
        pytest.skip("no Postgres here that speaks TLS: apt install postgresql")
    ours, other, key = authority("ours"), authority("other"), ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "ca.pem").write_bytes(ours.certificate(ours.key, None))
    (tmp_path / "other-ca.pem").write_bytes(other.certificate(other.key, None))
    with postgres_servers.made(found, place=quick_place()) as server:
        certificate = server.own("server.pem", ours.certificate(key, "localhost"))
        private = server.own("server.key", pem(key))
        server.own("data/pg_hba.conf", TLS_ONLY.encode())
        server.start(ssl="on", ssl_cert_file=certificate, ssl_key_file=private, fsync="off")
        server.execute("CREATE DATABASE darkroom")
        yield server


def verified(server: Server, folder: Path, *, host: str = "localhost", ca: str = "ca.pem") -> str:
    """Return the URL with which a client checks the server's certificate and its name."""
    return f"{replace(server, host=host).url()}?sslmode=verify-full&sslrootcert={folder / ca}"


@pytest.fixture
def in_tls(proved: Server, broker_urls: dict[str, str], tmp_path: Path, sandbox: Provider) -> Iterator[World]:
    url = verified(proved, tmp_path)
    command.upgrade(databases.alembic_config(url), "head")
    with worlds.opened(url, broker_urls["embedded"], tmp_path, sandbox) as opened:
        yield opened


def darkroom(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker.cli", *arguments],
        env={**os.environ, **world.settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_nodes_web_and_commands_work_with_a_database_whose_certificate_they_check(in_tls: World) -> None:
    in_tls.node()
    web = webs.started(in_tls.settings, in_tls.folder)
    in_tls.submit(manifests.plain(5))
    in_tls.wait_until_done()

    status = darkroom(in_tls, "status")
    encrypted = in_tls.query(IN_TLS)
    web.kill()

    assert (status.returncode, status.stderr) == (0, "")
    assert encrypted == [{"ssl": True}]
    books.check(in_tls)


@pytest.mark.parametrize(
    ("host", "ca", "reason"), [("localhost", "other-ca.pem", OTHER_CA), ("127.0.0.1", "ca.pem", OTHER_HOST)]
)
def test_a_database_that_is_not_the_one_that_was_named_is_refused_by_nodes_web_and_commands(
    host: str, ca: str, reason: str, in_tls: World, proved: Server
) -> None:
    in_tls.environment = {"DARKROOM_DATABASE_URL": verified(proved, in_tls.folder, host=host, ca=ca)}

    node = darkroom(in_tls, "node", "--processes", "1")
    web = darkroom(in_tls, "web", "--no-link")
    status = darkroom(in_tls, "status")

    assert (node.returncode, web.returncode, status.returncode) == (1, 1, 1)
    assert "node.database_unreachable" in node.stderr
    for said in (node.stderr, web.stderr, status.stderr):
        assert reason in said
        assert proved.password not in said
