"""Where webhooks may be sent to: public addresses, and networks the operator allows. Metadata services never.

A URL is read by rules that leave nothing for a second parser to read otherwise. A name is resolved once, every address
it has must be allowed, and what is connected to is one of these addresses and not the name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from registry_grpc.domain.webhooks import MAX_URL

Address = IPv4Address | IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Addresses of a host name. Raises: OSError."""
RESOLVE_TIMEOUT_S = 5.0
WELL_KNOWN_PORTS = frozenset({80, 443, 8080, 8443})
FIRST_FREE_PORT = 1024
_PORTS = {"https": 443, "http": 80}
_MAX_PORT = 65535
_URL = re.compile(r"(?P<scheme>[a-z]+)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?P<fragment>#.*)?", re.ASCII)
_VISIBLE = re.compile(r"[!-~]+")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_MAX_HOST = 253
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
        # Metadata and wire servers of clouds that are not link-local: Alibaba, Oracle, Azure, AWS, Google.
        *("100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32", "fd00:ec2::/32", "fd20:ce::254/128"),
        *("::/128", "fe80::/10", "ff00::/8", "fec0::/10"),
    )
)
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_NAT64 = IPv6Network("64:ff9b::/96")


class RefusedError(Exception):
    """A URL or address a webhook must not have; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart."""

    scheme: str
    host: str
    """In lower case; an IPv6 address without its brackets."""
    port: int
    path: str
    """With the query."""

    @property
    def host_header(self) -> str:
        """As the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def literal(self) -> Address | None:
        """The address, when the host is one."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def parse_target(url: str) -> Target:
    """The parts of a URL.

    Raises: RefusedError.
    """
    if len(url) > MAX_URL or not _VISIBLE.fullmatch(url) or "\\" in url:
        raise RefusedError(f"must be at most {MAX_URL} visible ASCII characters without backslash; escape others")
    scheme, separator, rest = url.partition("://")
    parts = _URL.fullmatch(f"{scheme.lower()}{separator}{rest}")
    if parts is None or parts["scheme"] not in _PORTS:
        raise RefusedError("must begin with https://, or http:// where the operator allows the network")
    if parts["fragment"] is not None:
        raise RefusedError("has a fragment, which is never sent; leave out '#' and what follows it")
    if "@" in parts["authority"]:
        raise RefusedError("has a user or password; receivers check the signature instead")
    host, port = _host_and_port(parts["authority"].lower(), _PORTS[parts["scheme"]])
    target = parts["target"]
    return Target(parts["scheme"], host, port, target if target.startswith("/") else f"/{target}")


def _host_and_port(authority: str, default: int) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?", authority)
    if found is None:
        raise RefusedError("has a host or port that cannot be read")
    port = int(found[2]) if found[2] else default
    if port not in WELL_KNOWN_PORTS and not FIRST_FREE_PORT <= port <= _MAX_PORT:
        known = ", ".join(map(str, sorted(WELL_KNOWN_PORTS)))
        raise RefusedError(f"has port {port}; allowed are {known} and {FIRST_FREE_PORT} to {_MAX_PORT}")
    return _host(found[1]), port


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return str(IPv6Address(text[1:-1] if "%" not in text else ""))
        except ValueError:
            raise RefusedError(f"has {text}, which is no IPv6 address") from None
    labels = text.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # Whatever ends in a number is an address to some resolvers: 0x7f.1, 2130706433, 0177.0.0.1.
        try:
            return str(IPv4Address(text))
        except ValueError:
            raise RefusedError(f"has the host {text!r}; write an IPv4 address as four decimal numbers") from None
    if len(text) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise RefusedError(f"has {text!r} for a host, which is no host name; write other scripts as xn--…")
    return text


class Guard:
    """What may be connected to."""

    def __init__(self, allowed: Sequence[Network] = (), resolve: Resolve | None = None) -> None:
        """`allowed` are networks of the operator's, besides the public ones."""
        self._allowed = tuple(allowed)
        self._resolve = resolve or _system_resolve

    async def addresses(self, target: Target) -> Sequence[Address]:
        """Where to connect to for this target, after one resolution; all of them are allowed.

        Raises: RefusedError, also when the name is not known.
        """
        literal = target.literal
        found = [literal] if literal is not None else await self._resolved(target.host)
        for address in found:
            self.require(target, address)
        return found

    def require(self, target: Target, address: Address) -> None:
        """Raises: RefusedError for an address that must not be connected to."""
        shown = target.host if target.literal is not None else f"{target.host}, which is {address},"
        where = _reached(address)
        if any(_in(each, _NEVER) for each in where):
            raise RefusedError(f"{shown} is no address that a webhook may ever have")
        ours = all(self._is_allowed(each) for each in where)
        if not ours and not all(_is_public(each) for each in where):
            raise RefusedError(
                f"{shown} is no public address; the operator can allow its network by webhook_allow_networks"
            )
        if target.scheme == "http" and not ours:
            raise RefusedError("must be https; http is for networks in webhook_allow_networks")

    def _is_allowed(self, address: Address) -> bool:
        if _in(address, _LOOPBACK):
            # Not by 0.0.0.0/0, which is meant for other machines.
            return any(_within(each, _LOOPBACK) and _in(address, (each,)) for each in self._allowed)
        return _in(address, self._allowed)

    async def _resolved(self, host: str) -> Sequence[Address]:
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S):
                texts = await self._resolve(host)
        except TimeoutError:
            raise RefusedError(f"the name {host} was not resolved in {RESOLVE_TIMEOUT_S:g} s; try again") from None
        except (OSError, UnicodeError):
            raise RefusedError(
                f"the name {host} is not known here; check it, or make it known to this server"
            ) from None
        found = [ipaddress.ip_address(text) for text in dict.fromkeys(texts)]
        if not found:
            raise RefusedError(f"the name {host} has no address")
        return found


def _reached(address: Address) -> Sequence[Address]:
    """The address that is meant, and those a tunnel leads to: each must be allowed."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address.sixtofour is not None:
        return (address, address.sixtofour)
    if address.teredo is not None:
        return (address, *address.teredo)
    return (address,)


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved


def _in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _within(network: Network, others: Sequence[Network]) -> bool:
    return any(_in(network.network_address, (other,)) and network.prefixlen >= other.prefixlen for other in others)


async def _system_resolve(host: str) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # A zone, as link-local addresses have it, is cut off: they are refused in any case.
    return [str(each[4][0]).partition("%")[0] for each in found]


def parse_networks(texts: Sequence[str]) -> Sequence[Network]:
    """Networks in CIDR form.

    Raises: ValueError that names the one that is none.
    """
    return tuple(ipaddress.ip_network(text) for text in texts if text)
