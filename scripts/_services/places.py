"""Where tools and running engines keep their files: never inside the clone."""

import getpass
import hashlib
import os
import pwd
import random
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pathlib import Path

_FIRST_PORT = 10_240
_FIRST_EPHEMERAL_PORT = 32_768
_CHANCE = random.SystemRandom()
CLONE = Path(__file__).resolve().parent.parent.parent


def cache_directory() -> Path:
    """Return the directory of tools shared by all clones of this user; it exists."""
    chosen = os.environ.get("MREG_CACHE")
    if chosen:
        cache = Path(chosen)
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "registry-grpc"
    cache.mkdir(parents=True, exist_ok=True)
    return cache.resolve()


def engines_directory() -> Path:
    """Return the directory under which engines run; it exists, and the engine's user can enter it.

    It is the cache, except for root with a closed home: PostgreSQL refuses to run as root, and
    the user it runs as instead could not reach its own data.
    """
    cache = cache_directory()
    if os.geteuid() != 0 or _everybody_enters(cache):
        return cache
    fallback = Path("/var/tmp/registry-grpc-root")  # noqa: S108 -- made by us with 0755, owner checked below
    fallback.mkdir(mode=0o755, exist_ok=True)
    if fallback.is_symlink() or fallback.stat().st_uid != 0:
        message = f"{fallback} is not ours; remove it or set MREG_CACHE to a directory others can enter"
        raise PermissionError(message)
    return fallback


def run_directory() -> Path:
    """Return the directory of this clone's shared engines; two clones never share one."""
    key = hashlib.sha256(str(CLONE).encode()).hexdigest()[:12]
    directory = engines_directory() / "run" / key
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "clone").write_text(f"{CLONE}\n")
    return directory


def unprivileged_user() -> str | None:
    """Return the user to become before running PostgreSQL, or None when we are not root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return name
    message = f"{getpass.getuser()} may not run PostgreSQL and there is no user postgres or nobody"
    raise PermissionError(message)


def group_of(user: str | None) -> int | None:
    """Return the number of the primary group of `user`; None, for nobody in particular, stays."""
    return pwd.getpwnam(user).pw_gid if user else None


def extra_groups_of(user: str | None) -> list[int] | None:
    """Return no groups at all for another user: root's own must not go along."""
    return [] if user else None


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def free_port() -> int:
    """Return a loopback port that is free now, below those that the kernel gives to others by itself.

    So nobody else takes it while whoever listens there is down for a restart: workers of one run of pytest draw from
    different ports, and a process gives out none a second time before it gave out all.
    """
    return next(port for port in _share() if is_free(port))


@cache
def _share() -> Iterator[int]:
    """The ports of this process, over and over, in an order by chance."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = list(range(_FIRST_PORT + worker, _FIRST_EPHEMERAL_PORT, workers))
    _CHANCE.shuffle(ports)
    return cycle(ports)


def is_free(port: int) -> bool:
    """Tell whether an engine could listen on the loopback `port` now."""
    with socket.socket() as probe:
        # As the engines do: a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _everybody_enters(directory: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (directory, *directory.parents))
