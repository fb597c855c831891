"""Which addresses may be sent to, in every way in which one can be written."""

import pytest

from server.partners.addresses import AddressError, Addresses, is_public

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::8.8.8.8", "2002:808:808::1", "::ffff:8.8.8.8"]
NOT_PUBLIC = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.1", "10.0.0.1", "172.16.5.4", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.0.1", "100.64.0.1", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.7"),
    *("203.0.113.9", "192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::10.0.0.1"),
    *("64:ff9b:1::7f00:1", "2002:7f00:1::1", "2002:a9fe:a9fe::1", "2001:0:0:0:0:0:3fff:fffe", "100::1"),
    *("", "localhost", "1.2.3", "not an address"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_sent_to(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_others_may_not_whatever_they_are_wrapped_in(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("http://example.com/", "must begin with https://"),
        ("ftp://example.com/", "must begin with https://"),
        ("//example.com/", "must begin with https://"),
        ("https://", "is not an address"),
        ("https:///path", "is not an address"),
        ("https://user@example.com/", "must have no user name"),
        ("https://user:secret@example.com/", "must have no user name"),
        ("https://example.com/#part", "must have no fragment"),
        ("https://example.com/#", "must have no fragment"),
        ("https://example.com:0/", "must have another port"),
        ("https://example.com:99999/", "is not an address"),
        ("https://[::1", "is not an address"),
        ("https://exa mple.com/", "is not an address"),
        ("https://example.com\\@127.0.0.1/", "is not an address"),
        ("https://exämple.com/", "is not an address"),
    ],
)
def test_what_cannot_be_an_address_is_refused_with_the_reason(uri: str, why: str) -> None:
    with pytest.raises(AddressError, match=why):
        Addresses().parse(uri)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:10.0.0.1", "169.254.169.254", "localhost", "127.1", "0"])
async def test_a_host_of_our_own_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(AddressError):
        await Addresses().check(host, 443)


async def test_one_private_address_among_public_ones_is_enough() -> None:
    async def mixed(_host: str, _port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.1"]

    with pytest.raises(AddressError, match="private network"):
        await Addresses(resolver=mixed).check("partner.example", 443)


async def test_an_unknown_host_is_refused() -> None:
    async def unknown(_host: str, _port: int) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(AddressError, match="nobody knows"):
        await Addresses(resolver=unknown).check("partner.example", 443)


async def test_a_house_may_allow_its_own_network() -> None:
    allowing = Addresses(allow_private=True)
    assert allowing.parse("http://127.0.0.1:8000/hook").port == 8000
    assert await allowing.check("127.0.0.1", 8000) == ["127.0.0.1"]
