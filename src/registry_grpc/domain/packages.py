"""Packages that versions need: their names as their ecosystems compare them, and their package URLs.

Sources: PEP 503 for names, the purl specification (ECMA-427) for URLs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from registry_grpc.domain.metadata import Dependency

_SEPARATORS = re.compile(r"[-_.]+")
_EXACT = re.compile(r"(?:===?)?\s*([A-Za-z0-9][A-Za-z0-9.!+_-]*)")
_PURL_TYPE = re.compile(r"[a-z][a-z0-9.-]*")
_FOLDED = frozenset({"pypi", "conda", "deb", "npm"})
"""Ecosystems whose names have no case."""


def normalised_package(ecosystem: str, name: str) -> str:
    """The name under which an ecosystem knows a package, however somebody wrote it."""
    if ecosystem.lower() == "pypi":
        return _SEPARATORS.sub("-", name).lower()
    return name.lower() if ecosystem.lower() in _FOLDED else name


def exact_version(dependency: Dependency) -> str:
    """The one version that is meant; empty for a range, or for any."""
    match = _EXACT.fullmatch(dependency.version.strip())
    return match[1] if match else ""


def package_url(dependency: Dependency) -> str:
    """`pkg:pypi/numpy@2.1.0`; empty for an ecosystem whose name cannot be the type of one."""
    kind = dependency.ecosystem.lower()
    if not _PURL_TYPE.fullmatch(kind):
        return ""
    path = "/".join(quote(part, safe="") for part in normalised_package(kind, dependency.name).split("/") if part)
    version = exact_version(dependency)
    return f"pkg:{kind}/{path}@{quote(version, safe='')}" if version else f"pkg:{kind}/{path}"
