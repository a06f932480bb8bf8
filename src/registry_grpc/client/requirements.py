"""What a model needs to run: requirement files and the present environment, read into dependencies.

Names are as PEP 503 has them. Files are parsed, never run, and nothing is fetched: what a file includes is not read,
so give the one that names everything (`pip freeze`, `pip-compile`, a lock).
"""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from registry_grpc.client.errors import InvalidArgument
from registry_grpc.client.yaml_text import load_yaml
from registry_grpc.v1 import metadata_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FREEZE = "freeze"
"""In place of a file: what is installed where this runs."""
DIRECTORY = "requirements"
"""Where the file lies in the version."""
MAX_BYTES = 4 << 20
MAX_DEPENDENCIES = 5_000
MAX_LINE = 2_000
_PASSWORD = re.compile(r"://[^/\s:@]*:(?!\$\{)[^/\s@]+@")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")
_CONDA = re.compile(r"(?:[^\s:]+::)?([A-Za-z0-9_.-]+)\s*(.*)")
_OWN_SOURCES = ("virtual", "editable", "directory")


@dataclass(frozen=True, slots=True)
class Requirements:
    """A captured file."""

    name: str
    content: bytes
    dependencies: list[metadata_pb2.Dependency]

    @property
    def path(self) -> str:
        """Where it lies in the version."""
        return f"{DIRECTORY}/{self.name}"


def capture(source: str | Path) -> Requirements:
    """A requirements.txt, as `pip freeze` writes it too, a conda environment.yml, a uv.lock or pylock.toml; `"freeze"`.

    Raises: InvalidArgument for a file that cannot be read, has a password in it, or names more than 5,000 packages.
    """
    if source == FREEZE:
        content = "".join(f"{line}\n" for line in frozen()).encode()
        return Requirements("freeze.txt", content, _few(read_lines(content.decode(), FREEZE), FREEZE))
    path = Path(source)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"{path} cannot be read: {error}") from error
    if len(content) > MAX_BYTES:
        raise InvalidArgument(f"{path} is larger than {MAX_BYTES} bytes; is it a requirements file?")
    if _PASSWORD.search(text):
        raise InvalidArgument(f"{path} has a password in a URL, and would be kept with the version; take it out")
    read = _reader_of(path.name)
    return Requirements(path.name, content, _few(read(text, str(path)), str(path)))


def _reader_of(name: str) -> Callable[[str, str], Iterator[metadata_pb2.Dependency]]:
    if name.endswith((".yml", ".yaml")):
        return read_conda
    return read_lock if name.endswith((".lock", ".toml")) else read_lines


def _few(found: Iterable[metadata_pb2.Dependency], where: str) -> list[metadata_pb2.Dependency]:
    """Each once, in their order."""
    kept = {each.SerializeToString(deterministic=True): each for each in found}
    if len(kept) > MAX_DEPENDENCIES:
        raise InvalidArgument(f"{where} names {len(kept)} packages; the limit is {MAX_DEPENDENCIES}")
    return list(kept.values())


def frozen() -> list[str]:
    """What is installed where this runs, `name==version`, by name."""
    installed = {
        canonicalize_name(each.name): each.version for each in importlib.metadata.distributions() if each.metadata
    }
    return [f"{name}=={version}" for name, version in sorted(installed.items())]


def requirement(line: str) -> metadata_pb2.Dependency:
    """One requirement as PyPI has them, `numpy==2.1 ; sys_platform == 'linux'`; extras are left out.

    Raises: InvalidArgument.
    """
    try:
        found = Requirement(line)
    except InvalidRequirement as error:
        raise InvalidArgument(
            f"dependency {line!r} is no requirement; write name==version, e.g. numpy==2.1.0"
        ) from error
    pins = list(found.specifier)
    if len(pins) == 1 and pins[0].operator == "==" and not pins[0].version.endswith(".*"):
        version = pins[0].version
    else:
        version = f"@ {found.url}" if found.url else str(found.specifier)
    return _pypi(found.name, version, str(found.marker) if found.marker else "")


def read_lines(text: str, where: str) -> Iterator[metadata_pb2.Dependency]:
    """The requirements in a requirements.txt. Comments, options, hashes and paths are left out.

    Raises: InvalidArgument with the line.
    """
    for number, line in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        wanted = re.split(r"(?:^|\s)#(?!egg=)|\s--", line, maxsplit=1)[0].strip()
        egg = _EGG.search(wanted)
        if wanted.startswith(("-e", "--editable")) or "+" in wanted.partition("://")[0]:
            if egg is not None:
                yield _pypi(egg[1], f"@ {wanted.split()[-1]}")
        elif wanted and not wanted.startswith(("-", ".", "/")):
            try:
                yield requirement(wanted)
            except InvalidArgument as error:
                raise InvalidArgument(f"{where}, line {number}: {error.message}") from error


def read_conda(text: str, where: str) -> Iterator[metadata_pb2.Dependency]:
    """The packages in an environment.yml, those of its pip section too.

    Raises: InvalidArgument.
    """
    found = load_yaml(text, where)
    entries = found.get("dependencies") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        raise InvalidArgument(f"{where} is no conda environment: it has no list of dependencies")
    for entry in entries:
        if isinstance(entry, dict):
            lines = entry.get("pip") or []
            yield from read_lines("\n".join(map(str, lines if isinstance(lines, list) else [lines])), f"{where}, pip")
            continue
        match = _CONDA.fullmatch(str(entry).strip()) if len(str(entry)) <= MAX_LINE else None
        if match is None:
            raise InvalidArgument(f"{where}: {str(entry)[:MAX_LINE]!r} is no package; write name=version")
        yield metadata_pb2.Dependency(ecosystem="conda", name=match[1].lower(), version=_conda_version(match[2]))


def _conda_version(spec: str) -> str:
    """`=1.26.4=py312_0` and `==1.26.4` are one version, `=1.26` whatever begins with it; others as they are."""
    spec = spec.strip()
    if spec.startswith("==") and "," not in spec:
        return spec[2:].strip()
    if spec.startswith("=") and "," not in spec:
        version, _, build = spec[1:].partition("=")
        return version if build or version.endswith("*") else f"{version}.*"
    return spec


def read_lock(text: str, where: str) -> Iterator[metadata_pb2.Dependency]:
    """The packages in a uv.lock or pylock.toml (PEP 751), without the project that it locks.

    Raises: InvalidArgument.
    """
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidArgument(f"{where} is no TOML: {error}") from error
    packages = found.get("package", found.get("packages"))
    if not isinstance(packages, list) or not all(isinstance(each, dict) for each in packages):
        raise InvalidArgument(f"{where} is no lock: it has no packages; give a uv.lock or a pylock.toml")
    for each in packages:
        if "name" in each and not _is_own(each):
            markers = each.get("resolution-markers")
            marker = str(each.get("marker") or (" or ".join(markers) if isinstance(markers, list) else ""))
            yield _pypi(str(each["name"]), str(each.get("version", "")), marker)


def _is_own(package: dict[str, Any]) -> bool:
    source = package.get("source")
    return "directory" in package or (isinstance(source, dict) and any(kind in source for kind in _OWN_SOURCES))


def _pypi(name: str, version: str = "", marker: str = "") -> metadata_pb2.Dependency:
    return metadata_pb2.Dependency(ecosystem="pypi", name=canonicalize_name(name), version=version, marker=marker)
