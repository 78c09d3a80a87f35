"""A store in a bucket, against a service on a socket that answers as S3 does, or by script."""

from collections.abc import Iterator

import pytest

from tests.fixtures import s3
from tests.fixtures.s3 import S3
from worker.storage.store import Conflicting, NotStored, Put, Store, StoreUnavailable, WrongStore, open_store

PNG = "image/png"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    with s3.serving() as bucket:
        monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        yield bucket


@pytest.fixture
def bucket(service: S3) -> Store:
    """Return a store that has been used, and that does not sleep."""
    opened = open_store("s3://images/results/")
    opened._pause = lambda _: None
    opened.ready()
    service.seen.clear()
    return opened


def test_an_object_is_written_once_and_read_again(bucket: Store, service: S3) -> None:
    put = bucket.put_new("b/a.png", b"content", content_type=PNG)

    assert put is Put.WRITTEN
    assert service.objects["results/b/a.png"] == b"content"
    assert bucket.read("b/a.png") == b"content"


def test_an_object_with_the_same_bytes_is_there_already(bucket: Store, service: S3) -> None:
    service.objects["results/b/a.png"] = b"content"

    assert bucket.put_new("b/a.png", b"content", content_type=PNG) is Put.ALREADY_THERE


def test_an_object_with_other_bytes_keeps_them(bucket: Store, service: S3) -> None:
    service.objects["results/b/a.png"] = b"earlier"

    with pytest.raises(Conflicting):
        bucket.put_new("b/a.png", b"content", content_type=PNG)

    assert service.objects["results/b/a.png"] == b"earlier"


@pytest.mark.parametrize("status", [409, 412])
def test_a_conflict_with_nothing_stored_is_tried_again(bucket: Store, service: S3, status: int) -> None:
    """S3 answers 409 while another conditional write to the same name is under way: nothing is stored."""
    service.script = s3.first([status, status], method="PUT", key="results/b/a.png")

    put = bucket.put_new("b/a.png", b"content", content_type=PNG)

    assert put is Put.WRITTEN
    assert service.objects["results/b/a.png"] == b"content"


def test_a_conflict_that_lasts_is_an_unavailable_store(bucket: Store, service: S3) -> None:
    service.script = s3.first([409] * 100, method="PUT", key="results/b/a.png")

    with pytest.raises(StoreUnavailable, match="a conflict that lasts"):
        bucket.put_new("b/a.png", b"content", content_type=PNG)


@pytest.mark.parametrize("status", [403, 503])
def test_a_bucket_that_refuses_is_unavailable(bucket: Store, service: S3, status: int) -> None:
    service.script = s3.first([status] * 100, method="PUT", key="results/b/a.png")

    with pytest.raises(StoreUnavailable, match="s3://images/results failed: "):
        bucket.put_new("b/a.png", b"content", content_type=PNG)


def test_a_bucket_that_was_deleted_has_not_lost_one_object(bucket: Store, service: S3) -> None:
    bucket.put_new("b/a.png", b"content", content_type=PNG)
    service.exists = False

    with pytest.raises(StoreUnavailable):
        bucket.read("b/a.png")
    with pytest.raises(StoreUnavailable):
        bucket.put_new("b/b.png", b"content", content_type=PNG)


def test_a_bucket_that_was_made_anew_is_another_store(bucket: Store, service: S3) -> None:
    bucket.put_new("b/a.png", b"content", content_type=PNG)
    service.objects.clear()

    with pytest.raises(WrongStore):
        bucket.read("b/a.png")


def test_an_object_that_a_rule_has_deleted_is_not_stored(bucket: Store, service: S3) -> None:
    bucket.put_new("b/a.png", b"content", content_type=PNG)
    del service.objects["results/b/a.png"]

    with pytest.raises(NotStored):
        bucket.read("b/a.png")


def test_the_check_needs_no_right_that_workers_never_use(bucket: Store, service: S3) -> None:
    bucket.check()
    bucket.check()

    assert service.asked("DELETE") == []
    assert set(service.asked("PUT")) == {"results/.darkroom-probe"}


def test_many_uses_look_at_the_identity_once(bucket: Store, service: S3) -> None:
    for number in range(10):
        bucket.put_new(f"b/{number}.png", b"content", content_type=PNG)

    assert service.asked("GET") == []


def test_the_location_in_a_bucket_is_its_url(bucket: Store) -> None:
    assert bucket.location("b/茶碗 1.png") == "s3://images/results/b/%E8%8C%B6%E7%A2%97%201.png"


def test_what_a_person_wants_erased_is_removed_and_nothing_beside_it(bucket: Store, service: S3) -> None:
    service.may_delete = True
    bucket.put_new("references/a", b"face", content_type=PNG)
    bucket.put_new("references/ab", b"chair", content_type=PNG)

    done = [bucket.remove("references/a"), bucket.remove("references/a")]

    assert done == [True, False]
    assert not bucket.exists("references/a")
    assert bucket.read("references/ab") == b"chair"
    assert service.asked("DELETE") == ["results/references/a"]


@pytest.mark.parametrize("status", [403, 503])
def test_a_removal_that_the_bucket_refuses_is_told_and_can_be_ordered_again(
    bucket: Store, service: S3, status: int
) -> None:
    service.may_delete = True
    bucket.put_new("references/a", b"face", content_type=PNG)
    service.script = s3.first([status] * 3, method="DELETE", key="results/references/a")

    with pytest.raises(StoreUnavailable, match="s3://images/results failed: "):
        bucket.remove("references/a")
    service.script = lambda *_: None

    assert bucket.exists("references/a")
    assert bucket.remove("references/a")


def test_nothing_is_removed_from_a_bucket_that_is_another_store(bucket: Store, service: S3) -> None:
    service.may_delete = True
    bucket.put_new("references/a", b"face", content_type=PNG)
    marker = next(key for key in service.objects if "references" not in key)
    service.objects[marker] = service.objects[marker].replace(b"-", b"-", 1).translate(bytes.maketrans(b"0a", b"a0"))
    bucket._looked_at = -1000.0

    with pytest.raises(WrongStore):
        bucket.remove("references/a")

    assert service.objects["results/references/a"] == b"face"
