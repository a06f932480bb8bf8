"""Versions side by side, and what one is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.compare import MAX_COMPARED, MIN_COMPARED, Comparison, Side, compared
from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.governance_names import PromotionRequestName
from registry_grpc.domain.promotion import Decision
from registry_grpc.usecases.checks import require_same_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from registry_grpc.domain.artifacts import Artifact
    from registry_grpc.domain.names import VersionName
    from registry_grpc.domain.resources import Version
    from registry_grpc.ports.store import Reader, Store

    May = Callable[[str, VersionName], bool]
    """Whether the caller has a permission on a version."""

MAX_ARRIVALS = 100
"""Of one version, the newest: where older ones were approved is history, not what it is."""


@dataclass(frozen=True, slots=True)
class CompareVersions:
    """Versions side by side."""

    store: Store

    def __call__(
        self, names: Sequence[VersionName], *, project: str, may: May, differences_only: bool = False
    ) -> Comparison:
        """In the order asked for; what the caller may not list of a version is left out of it.

        `project` is where all of them must lie; empty for any.

        Raises: INVALID_FIELD, VERSION_NOT_FOUND naming the first that is missing.
        """
        if not MIN_COMPARED <= len(names) <= MAX_COMPARED:
            raise invalid_field("names", f"has {len(names)} versions; {MIN_COMPARED} to {MAX_COMPARED} can be compared")
        for at, name in enumerate(names):
            require_same_project(project or name.project, name.project, f"names[{at}]")

        def work(reader: Reader) -> list[Side]:
            found = {version.name: version for version in reader.versions.find(sorted(set(names), key=str))}
            for name in names:
                if name not in found:
                    raise RegistryError(Reason.VERSION_NOT_FOUND, f"{name} does not exist", resource=name)
            sides = {name: _side(reader, version, may) for name, version in found.items()}
            return [sides[name] for name in names]

        # Tables are made of what was read when no transaction is open any more.
        return compared(self.store.read(work, snapshot=True), differences_only=differences_only)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a version is made of."""

    version: Version
    files: Sequence[Artifact] | None
    """None when the caller may not list them."""


@dataclass(frozen=True, slots=True)
class GetParts:
    """What a bill of materials is made from."""

    store: Store
    max_files: int

    def __call__(self, name: VersionName, *, may: May) -> Parts:
        """Raises: VERSION_NOT_FOUND, MODEL_NOT_FOUND, PROJECT_NOT_FOUND."""

        def work(reader: Reader) -> Parts:
            version = reader.versions.get(name)
            if not may("artifacts.list", name):
                return Parts(version, None)
            return Parts(version, reader.artifacts.list(version.uid, after="", limit=self.max_files))

        return self.store.read(work, snapshot=True)


def _side(reader: Reader, version: Version, may: May) -> Side:
    files = reader.artifacts.digests(version.uid) if may("artifacts.list", version.name) else None
    return Side(version, files, dict(_findings(reader, version, may)))


def _findings(reader: Reader, version: Version, may: May) -> Iterator[tuple[str, str]]:
    """By what was found or approved; of several alike the newest."""
    if may("promotionRequests.get", version.name):
        yield from _approvals(reader, version).items()
    if may("signatures.list", version.name):
        for signature in reader.signatures.of_version(version.uid):
            by = signature.trusted_signer.rpartition("/")[2] or signature.signer or "unknown"
            yield f"signature:{by}", signature.verdict.value
    if may("evidence.list", version.name):
        for each in reader.evidence.of_version(version.uid):
            found = f", {each.findings} findings" if each.findings else ""
            yield f"{each.kind.value}:{each.tool}", f"{each.outcome.value}{found}"


def _approvals(reader: Reader, version: Version) -> Mapping[str, str]:
    """By stage, who said yes when the version came there last, by way of a promotion request."""
    approved: dict[str, str] = {}
    for arrival in reader.history.of_version(version.uid, MAX_ARRIVALS):
        key = f"approval:{arrival.stage}"
        if not arrival.promotion_request or key in approved:
            continue
        request = reader.promotion_requests.get(PromotionRequestName.parse(arrival.promotion_request))
        given = request.approvals if request is not None else ()
        yes = [each.principal for each in given if each.decision is Decision.APPROVED and not each.void_reason]
        approved[key] = ", ".join(sorted(yes)) or "nobody had to"
    return approved
