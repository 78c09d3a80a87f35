import hashlib
import pickle
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.provider.scripted import Ending, Step, answer, scripted_server
from worker.storage.fetch.download import AddressPolicy, FetchFailed, FetchLimits, FetchProblem, fetch

CERTIFICATE = str(Path(__file__).parent / "certificate_of_images_example.pem")
LIMITS = FetchLimits(max_bytes=1000, total_s=20, connect_s=10, read_s=10)
SHORT = FetchLimits(max_bytes=1000, total_s=0.4, connect_s=0.3, read_s=0.2)
"""For servers that do not answer in time; a busy machine may take as long for those that do."""
HERE = AddressPolicy.for_results("http://127.0.0.1:1")
HERE_OVER_TLS = AddressPolicy(schemes=frozenset({"https"}), is_loopback_permitted=True)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
NO_LENGTH = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


def failure(url: str, into: Path, allow: AddressPolicy = HERE, *, limits: FetchLimits = LIMITS) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        fetch(url, into, limits=limits, allow=allow)
    return caught.value


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "download"


@pytest.mark.parametrize(
    "reply", [answer(b"image bytes"), CHUNKED + b"b\r\nimage bytes\r\n0\r\n\r\n", NO_LENGTH + b"image bytes"]
)
def test_a_download_gives_the_file_with_its_hash_and_size(into: Path, reply: bytes) -> None:
    with scripted_server(Step(reply=reply)) as server:
        fetched = fetch(server.url, into, limits=LIMITS, allow=HERE)

    assert into.read_bytes() == b"image bytes"
    assert (fetched.path, fetched.size_bytes) == (into, 11)
    assert fetched.sha256 == hashlib.sha256(b"image bytes").hexdigest()


def test_the_claimed_type_is_kept_without_its_parameters(httpserver: HTTPServer, into: Path) -> None:
    httpserver.expect_request("/a").respond_with_data(b"x", content_type="Image/PNG; charset=x")

    assert fetch(httpserver.url_for("/a"), into, limits=LIMITS, allow=HERE).content_type == "image/png"


def test_path_and_query_arrive_as_they_were_given(into: Path) -> None:
    with scripted_server(Step(reply=answer(b"x"))) as server:
        fetch(f"{server.url}//a%2Fb/茶 碗?sig=a%2Bb&x=1#part", into, limits=LIMITS, allow=HERE)

        assert server.requests[0].startswith(b"GET //a%2Fb/%E8%8C%B6%20%E7%A2%97?sig=a%2Bb&x=1 HTTP/1.1\r\n")


def test_no_credential_and_no_cookie_is_ever_sent(into: Path) -> None:
    with scripted_server(Step(reply=answer(b"x"))) as server:
        fetch(server.url, into, limits=LIMITS, allow=HERE)

        names = {line.split(b":")[0] for line in server.requests[0].split(b"\r\n")[1:-2]}
        assert names == {b"Host", b"Accept-Encoding", b"User-Agent", b"Accept"}


def test_a_credential_is_sent_to_the_urls_own_origin(into: Path) -> None:
    with scripted_server(Step(reply=answer(b"x"))) as server:
        fetch(server.url, into, limits=LIMITS, allow=HERE, credential=lambda: "Bearer key")

        assert b"\r\nAuthorization: Bearer key\r\n" in server.requests[0]


def test_a_credential_is_not_sent_after_a_redirect_elsewhere_not_even_back(into: Path) -> None:
    with scripted_server(Step(reply=answer(b"x"))) as home, scripted_server(Step(reply=to(home.url))) as elsewhere:
        with scripted_server(Step(reply=to(elsewhere.url))) as start:
            fetch(start.url, into, limits=LIMITS, allow=HERE, credential=lambda: "Bearer key")

        assert b"Authorization" in start.requests[0]
        assert b"Authorization" not in elsewhere.requests[0] + home.requests[0]


def to(url: str) -> bytes:
    return answer(b"", status="302 Found", headers=f"Location: {url}\r\n")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, FetchProblem.GONE),
        (404, FetchProblem.GONE),
        (410, FetchProblem.GONE),
        (408, FetchProblem.TEMPORARY),
        (429, FetchProblem.TEMPORARY),
        (500, FetchProblem.TEMPORARY),
        (503, FetchProblem.TEMPORARY),
        (204, FetchProblem.REFUSED),
        (206, FetchProblem.REFUSED),
        (400, FetchProblem.REFUSED),
        (401, FetchProblem.REFUSED),
        (304, FetchProblem.REFUSED),
    ],
)
def test_an_answer_without_the_file_fails_by_what_may_be_done_next(
    httpserver: HTTPServer, into: Path, status: int, kind: FetchProblem
) -> None:
    httpserver.expect_request("/a").respond_with_data(b"", status=status)

    error = failure(httpserver.url_for("/a"), into)

    assert (error.kind, error.status) == (kind, status)


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(Step(ending=Ending.CLOSE), id="closed"),
        pytest.param(Step(ending=Ending.RESET), id="reset"),
        pytest.param(Step(ending=Ending.HANG), id="silent"),
        pytest.param(Step(reply=answer(b"half", length=8)), id="truncated"),
        pytest.param(Step(reply=answer(b"half", length=8), ending=Ending.RESET), id="reset-in-body"),
        pytest.param(Step(reply=answer(b"half", length=8), ending=Ending.HANG), id="silent-in-body"),
        pytest.param(Step(reply=CHUNKED + b"8\r\nhalf"), id="truncated-chunk"),
        pytest.param(Step(reply=CHUNKED + b"4\r\nhalf\r\n"), id="chunks-without-an-end"),
        pytest.param(Step(reply=b"rubbish\r\n\r\n"), id="not-http"),
        pytest.param(Step(reply=answer(b"", length=900), ending=Ending.DRIP), id="body-drips"),
        pytest.param(Step(reply=NO_LENGTH, ending=Ending.DRIP), id="body-drips-without-length"),
        pytest.param(Step(reply=b"HTTP/1.1 200 OK\r\nX-", ending=Ending.DRIP), id="headers-drip"),
    ],
)
def test_a_file_that_is_not_whole_in_time_is_a_temporary_failure_and_leaves_nothing(into: Path, step: Step) -> None:
    with scripted_server(step) as server:
        error = failure(server.url, into, limits=SHORT)

    assert error.kind is FetchProblem.TEMPORARY
    assert not into.exists()


def test_a_file_larger_than_permitted_is_refused_before_it_is_read(into: Path) -> None:
    with scripted_server(Step(reply=answer(b"", length=1001), ending=Ending.HANG)) as server:
        error = failure(server.url, into)

    assert error.kind is FetchProblem.TOO_LARGE
    assert str(error) == f"{server.url}: has more than the permitted 1,000 bytes"


@pytest.mark.parametrize("reply", [NO_LENGTH + b"x" * 1001, CHUNKED + b"3e9\r\n" + b"x" * 1001])
def test_a_file_of_unknown_size_is_cut_at_the_limit_and_leaves_nothing(into: Path, reply: bytes) -> None:
    with scripted_server(Step(reply=reply, ending=Ending.HANG)) as server:
        error = failure(server.url, into)

    assert error.kind is FetchProblem.TOO_LARGE
    assert not into.exists()


def test_a_file_of_exactly_the_permitted_size_is_taken(into: Path) -> None:
    with scripted_server(Step(reply=answer(b"x" * 1000))) as server:
        assert fetch(server.url, into, limits=LIMITS, allow=HERE).size_bytes == 1000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(httpserver: HTTPServer, into: Path, status: int) -> None:
    httpserver.expect_request("/a").respond_with_data(b"", status=status, headers={"Location": "b/../c"})
    httpserver.expect_request("/c").respond_with_data(b"image bytes")

    fetch(httpserver.url_for("/a"), into, limits=LIMITS, allow=HERE)

    assert into.read_bytes() == b"image bytes"


def test_redirects_without_an_end_are_refused_after_three(httpserver: HTTPServer, into: Path) -> None:
    httpserver.expect_request("/a").respond_with_data(b"", status=302, headers={"Location": "/a"})

    error = failure(httpserver.url_for("/a"), into)

    assert (error.kind, len(httpserver.log)) == (FetchProblem.REFUSED, 4)


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/x",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "http://[fd00::1]/",
    ],
)
def test_a_redirect_cannot_lead_where_the_policy_does_not_go(into: Path, location: str) -> None:
    reply = answer(b"", status="302 Found", headers=f"Location: {location}\r\n")
    with scripted_server(Step(reply=reply)) as server:
        error = failure(server.url, into)

    assert error.kind is FetchProblem.REFUSED_ADDRESS


@pytest.mark.parametrize(
    "reply", [answer(b"", status="302 Found"), answer(b"", status="302 F", headers="Location: http://[\r\n")]
)
def test_a_redirect_to_nowhere_is_a_failure_like_any_other(into: Path, reply: bytes) -> None:
    with scripted_server(Step(reply=reply)) as server:
        error = failure(server.url, into)

    assert error.kind in {FetchProblem.REFUSED, FetchProblem.BAD_URL}


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://images.example/a.png", FetchProblem.REFUSED_ADDRESS),
        ("ftp://images.example/a.png", FetchProblem.REFUSED_ADDRESS),
        ("file:///etc/passwd", FetchProblem.REFUSED_ADDRESS),
        ("/etc/passwd", FetchProblem.REFUSED_ADDRESS),
        ("https://127.0.0.1/a.png", FetchProblem.REFUSED_ADDRESS),
        ("https://localhost/a.png", FetchProblem.REFUSED_ADDRESS),
        ("https://2130706433/a.png", FetchProblem.REFUSED_ADDRESS),
        ("https://0x7f.1/a.png", FetchProblem.REFUSED_ADDRESS),
        ("https://[::ffff:127.0.0.1]/a.png", FetchProblem.REFUSED_ADDRESS),
        ("https:///a.png", FetchProblem.BAD_URL),
        ("https://user:secret@images.example/a.png", FetchProblem.BAD_URL),
        ("https://images.example:99999/a.png", FetchProblem.BAD_URL),
        ("https://[images/a.png", FetchProblem.BAD_URL),
    ],
)
def test_a_reference_url_that_may_not_be_fetched_is_refused_without_a_connection(
    into: Path, url: str, kind: FetchProblem
) -> None:
    assert failure(url, into, AddressPolicy.for_references()).kind is kind


def test_a_name_with_one_private_address_is_refused_whole(into: Path) -> None:
    with pytest.raises(FetchFailed, match=r"images\.example is not on the public internet"):
        fetch(
            "https://images.example/a",
            into,
            limits=LIMITS,
            allow=AddressPolicy.for_references(),
            resolve=lambda _host, _port: ("93.184.215.14", "10.0.0.1"),
        )


def test_the_name_is_looked_up_once_and_the_connection_goes_to_that_address(into: Path) -> None:
    """A second look-up could give another address than the one that was checked."""
    looked_up: list[str] = []

    def resolve(host: str, _port: int) -> tuple[str, ...]:
        looked_up.append(host)
        return ("127.0.0.1",)

    with scripted_server(Step(reply=answer(b"x")), certificate=CERTIFICATE) as server:
        url = f"https://images.example:{server.port}/a"
        fetch(url, into, limits=LIMITS, allow=HERE_OVER_TLS, resolve=resolve, ca_file=CERTIFICATE)

        assert looked_up == ["images.example"]
        assert f"Host: images.example:{server.port}\r\n".encode() in server.requests[0]


@pytest.mark.parametrize(
    ("host", "ca_file"),
    [("images.example", None), ("other.example", CERTIFICATE)],
    ids=["untrusted", "misnamed"],
)
def test_a_certificate_must_be_trusted_and_name_the_host(into: Path, host: str, ca_file: str | None) -> None:
    with (
        scripted_server(Step(reply=answer(b"x")), certificate=CERTIFICATE) as server,
        pytest.raises(FetchFailed, match="its certificate is refused"),
    ):
        fetch(
            f"https://{host}:{server.port}/a",
            into,
            limits=LIMITS,
            allow=HERE_OVER_TLS,
            resolve=lambda _host, _port: ("127.0.0.1",),
            ca_file=ca_file,
        )


def test_a_host_without_an_address_is_a_temporary_failure(into: Path) -> None:
    def resolve(_host: str, _port: int) -> tuple[str, ...]:
        raise OSError

    with pytest.raises(FetchFailed, match="no known address") as caught:
        fetch("http://nowhere.example/", into, limits=LIMITS, allow=HERE, resolve=resolve)

    assert caught.value.kind is FetchProblem.TEMPORARY


def test_the_second_address_is_tried_when_the_first_does_not_answer(into: Path) -> None:
    with scripted_server(Step(reply=answer(b"x"))) as server:
        fetch(server.url, into, limits=LIMITS, allow=HERE, resolve=lambda _h, _p: ("::1", "127.0.0.1"))

    assert into.read_bytes() == b"x"


def test_a_failure_does_not_show_the_query_which_may_hold_a_signature(into: Path) -> None:
    error = failure("https://10.0.0.1/a.png?signature=SECRET", into)

    assert str(error) == "https://10.0.0.1/a.png: the host 10.0.0.1 is not on the public internet"
    assert "SECRET" not in repr(error)


def test_a_failure_survives_pickling(into: Path) -> None:
    error = failure("https://10.0.0.1/a.png", into)

    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)
