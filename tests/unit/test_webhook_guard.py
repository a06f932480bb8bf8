"""Where a webhook may be sent to: row 79 of the hostile inputs, and what else a URL or a name can hide."""

import ipaddress

import pytest

from registry_grpc.webhooks.guard import Guard, RefusedError, parse_networks, parse_target

PUBLIC = "93.184.215.14"
CLUSTER = ("10.0.0.0/8", "fd12:3456::/32")


def resolving(*addresses):
    async def resolve(host):
        return addresses

    return resolve


async def allowed(url, *addresses, networks=()):
    guard = Guard(parse_networks(networks), resolving(*addresses))
    return [str(each) for each in await guard.addresses(parse_target(url))]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.com/", "must begin with https"),
        ("//example.com/", "must begin with https"),
        ("javascript:alert(1)", "must begin with https"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com/#", "fragment"),
        ("https://user@example.com/", "user or password"),
        ("https://user:password@example.com/", "user or password"),
        ("https://example.com:22/", "port 22"),
        ("https://example.com:25/", "port 25"),
        ("https://example.com:0/", "port 0"),
        ("https://example.com:65536/", "port 65536"),
        ("https://example.com:https/", "cannot be read"),
        ("https://example.com:443:443/", "cannot be read"),
        ("https:///path", "no host name"),
        ("https://exa mple.com/", "visible ASCII"),
        ("https://example.com/a\r\nhost: other", "visible ASCII"),
        ("https://example.com\\@10.0.0.1/", "backslash"),
        ("https://bücher.example/", "visible ASCII"),
        ("https://example..com/", "no host name"),
        ("https://exam%70le.com/", "no host name"),
        ("https://[::1%25eth0]/", "no IPv6 address"),
        ("https://[1.2.3.4]/", "no IPv6 address"),
        ("https://0x7f.1/", "four decimal numbers"),
        ("https://127.1/", "four decimal numbers"),
        ("https://2130706433/", "four decimal numbers"),
        ("https://0x7f000001/", "four decimal numbers"),
        ("https://0177.0.0.1/", "four decimal numbers"),
        ("https://0X7F.0.0.1/", "four decimal numbers"),
        ("https://127.0.0.1./", "no host name"),
        ("https://example.com/" + "a" * 2048, "2048"),
    ],
)
def test_a_url_that_two_readers_might_read_differently_is_refused(url, says):
    with pytest.raises(RefusedError, match=says):
        parse_target(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "header"),
    [
        ("https://example.com", "example.com", 443, "/", "example.com"),
        ("HTTPS://Example.COM:8443/a?b=c", "example.com", 8443, "/a?b=c", "example.com:8443"),
        ("http://10.0.0.1:8080?x", "10.0.0.1", 8080, "/?x", "10.0.0.1:8080"),
        ("https://[2606:4700::1111]:443/", "2606:4700::1111", 443, "/", "[2606:4700::1111]"),
        ("https://hooks.svc.cluster.local:3000/x@y:z", "hooks.svc.cluster.local", 3000, "/x@y:z", None),
    ],
)
def test_a_url_is_taken_apart(url, host, port, path, header):
    target = parse_target(url)
    assert (target.host, target.port, target.path) == (host, port, path)
    assert header is None or target.host_header == header


REFUSED = [
    *("127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254"),
    *("0.0.0.1", "0.1.2.3", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
    *("168.63.129.16", "100.100.100.200", "192.0.0.192"),
    *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "ff02::1", "fec0::1", "2001:db8::1"),
    *("::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1"),
    *("2002:a00:1::", "2002:a9fe:a9fe::", "2001:0:a00:1::1", "2001:0:808:808:0:0:f5ff:fffe"),
]


@pytest.mark.parametrize("address", REFUSED)
async def test_what_is_not_public_is_refused_as_a_literal_and_behind_a_name(address):
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(RefusedError, match="address"):
        await allowed(f"https://{host}/")
    with pytest.raises(RefusedError, match="address"):
        await allowed("https://innocent.example/", address)


@pytest.mark.parametrize("address", [PUBLIC, "2606:4700::1111", f"::ffff:{PUBLIC}", "64:ff9b::5db8:d70e"])
async def test_public_addresses_are_allowed(address):
    assert await allowed("https://innocent.example/", address) == [str(ipaddress.ip_address(address))]


async def test_every_address_of_a_name_must_be_allowed():
    with pytest.raises(RefusedError, match=r"10\.0\.0\.1"):
        await allowed("https://both.example/", PUBLIC, "10.0.0.1")


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd12:3456::9"])
async def test_the_operators_networks_are_allowed_with_http_too(address):
    assert await allowed("http://hooks.svc:8080/", address, networks=CLUSTER)
    assert await allowed("https://hooks.svc:8443/", address, networks=CLUSTER)


@pytest.mark.parametrize("networks", [(), CLUSTER])
async def test_http_is_for_the_operators_networks_only(networks):
    with pytest.raises(RefusedError, match="must be https"):
        await allowed("http://innocent.example/", PUBLIC, networks=networks)


NEVER = ["169.254.169.254", "169.254.1.1", "fe80::1", "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "0.0.0.1"]


@pytest.mark.parametrize("address", [*NEVER, "::ffff:169.254.169.254", "224.0.0.1", "ff02::1", "2002:a9fe:a9fe::"])
async def test_metadata_and_local_links_are_refused_whatever_the_operator_allows(address):
    networks = ("0.0.0.0/0", "::/0", "169.254.0.0/16", "169.254.169.254/32", "fe80::/10", "fd00:ec2::254/128")
    with pytest.raises(RefusedError, match="may ever have"):
        await allowed("https://innocent.example/", address, networks=networks)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_loopback_is_allowed_only_by_its_own_name(address):
    with pytest.raises(RefusedError):
        await allowed("http://here.example:8080/", address, networks=("0.0.0.0/0", "::/0"))
    assert await allowed("http://here.example:8080/", address, networks=("127.0.0.0/8", "::1/128"))


async def test_a_name_that_nobody_knows_is_refused():
    async def unknown(host):
        raise OSError(host)

    with pytest.raises(RefusedError, match="is not known here"):
        await Guard(resolve=unknown).addresses(parse_target("https://nowhere.invalid/"))
    with pytest.raises(RefusedError, match="has no address"):
        await allowed("https://empty.example/")


def test_networks_are_cidr():
    with pytest.raises(ValueError, match="host bits"):
        parse_networks(["10.0.0.1/8"])
    with pytest.raises(ValueError, match="does not appear"):
        parse_networks(["cluster"])
