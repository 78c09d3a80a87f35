import pytest

from worker.storage.fetch.addresses import AddressPolicy

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.8.8.8",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
]
PUBLIC = [
    "8.8.8.8",
    "93.184.215.14",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_reference_never_comes_from_an_address_that_is_not_public(address: str) -> None:
    assert not AddressPolicy.for_references().is_permitted(address, host="images.example", port=443)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_reference_may_come_from_a_public_address(address: str) -> None:
    assert AddressPolicy.for_references().is_permitted(address, host="images.example", port=443)


def test_a_reference_comes_over_https_alone() -> None:
    assert AddressPolicy.for_references().schemes == {"https"}


@pytest.mark.parametrize("address", PRIVATE)
def test_a_result_of_a_public_provider_never_comes_from_an_address_that_is_not_public(address: str) -> None:
    policy = AddressPolicy.for_results("https://rivya.example")

    assert not policy.is_permitted(address, host="cdn.example", port=443)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"])
def test_a_result_of_a_provider_on_this_machine_may_come_from_this_machine(base_url: str) -> None:
    policy = AddressPolicy.for_results(base_url)

    assert policy.is_permitted("127.0.0.1", host="localhost", port=9090)
    assert not policy.is_permitted("10.0.0.1", host="cdn.example", port=80)


def test_the_operators_own_base_url_may_be_in_a_private_network_and_its_neighbours_may_not() -> None:
    policy = AddressPolicy.for_results("http://sandbox:8080")

    assert policy.is_permitted("10.0.0.7", host="sandbox", port=8080)
    assert not policy.is_permitted("10.0.0.7", host="sandbox", port=5432)
    assert not policy.is_permitted("10.0.0.7", host="database", port=8080)
