"""Using more of a project's quotas, and less; finding out where the count went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from registry_grpc.domain.tenancy import Usage, require_within

if TYPE_CHECKING:
    from datetime import timedelta

    from registry_grpc.domain.artifacts import Blob, Upload
    from registry_grpc.domain.digests import Digest
    from registry_grpc.domain.names import ModelName, ProjectName
    from registry_grpc.domain.tenancy import Account
    from registry_grpc.ports.store import Store, Unit

AT_ONCE = 100


def charge(unit: Unit, project: str, change: Usage) -> Account:
    """Use `change` more of the project. Once in a transaction, the last lock before `Unit.advance`.

    Raises: QUOTA_EXCEEDED, PROJECT_NOT_FOUND.
    """
    account = unit.usage.change(project, change)
    require_within(project, account, change)
    return account


def advance_charging(unit: Unit, model: ModelName, change: Usage) -> tuple[int, Account]:
    """`Unit.advance` for `model` and `charge` at once.

    Raises: QUOTA_EXCEEDED, PROJECT_NOT_FOUND.
    """
    revision, account = unit.advance_using(str(model), model.project, change)
    require_within(model.project, account, change)
    return revision, account


def claimed(unit: Unit, project: str, digest: Digest) -> tuple[Blob | None, int]:
    """The blob to reference, as `Blobs.claim`, and the bytes that are used again by it: those of a CONDEMNED one."""
    held = unit.blobs.hold(project, digest)
    if held is None:
        return None, 0
    live = unit.blobs.claim(project, digest)
    return live, 0 if live == held else digest.size_bytes


def release_upload(unit: Unit, upload: Upload) -> None:
    """Give back what an upload, which was open until now, had reserved."""
    unit.usage.change(upload.name.project, Usage(reserved_bytes=-upload.size_bytes, open_uploads=-1))


def draft_retention(unit: Unit, project: str, default: timedelta) -> timedelta:
    """How long drafts of the project may rest."""
    return unit.projects.retention(project).draft or default


@dataclass(frozen=True, slots=True)
class GetProjectUsage:
    """What a project uses, as it is now."""

    store: Store

    def __call__(self, name: ProjectName) -> Account:
        """Raises: PROJECT_NOT_FOUND."""
        return self.store.read(lambda reader: reader.usage.get(name.project))


class DriftObserver(Protocol):
    """Told when a count was wrong."""

    def drifted(self, project: str, said: Usage, counted: Usage) -> None:
        """The row of a project said otherwise than what there is, and was put right."""


@dataclass(frozen=True, slots=True)
class RepairUsage:
    """Compares what the rows say with what there is, and puts right what differs. None should ever."""

    store: Store
    observer: DriftObserver

    def __call__(self) -> int:
        """How many were wrong."""
        suspects = self.store.read(lambda reader: reader.usage.drifted(AT_ONCE))
        return sum(self._repair(project) for project in suspects)

    def _repair(self, project: str) -> bool:
        def work(unit: Unit) -> tuple[Usage, Usage] | None:
            # Under the lock the count is exact: whoever changes what is counted changes the row before it commits.
            said = unit.usage.lock(project)
            counted = unit.usage.count(project)
            if said is None or said == counted:
                return None
            unit.usage.put(project, counted)
            return said, counted

        found = self.store.write(work).get()
        if found is None:
            return False
        self.observer.drifted(project, *found)
        return True
