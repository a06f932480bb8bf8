"""The resources of the catalogue: projects, models, versions. Frozen; a change is a new value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from registry_grpc.domain.digests import etag_of
from registry_grpc.domain.metadata import Format, Metadata, ModelCard
from registry_grpc.domain.names import ModelName, ProjectName, VersionName
from registry_grpc.domain.tenancy import Quotas, Retention


class VersionState(StrEnum):
    """State of a version."""

    DRAFT = "draft"
    READY = "ready"
    DEPRECATED = "deprecated"
    YANKED = "yanked"


@dataclass(frozen=True, slots=True)
class StageDefinition:
    """One stage of a project's graph."""

    id: str
    display_name: str = ""
    exclusive: bool = False
    protected: bool = False
    initial: bool = False
    accepts_from: tuple[str, ...] = ()
    """Stage ids; `*` means any."""
    displaced_to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A tenant with its stages, in order."""

    uid: str
    name: ProjectName
    display_name: str = ""
    description: str = ""
    stages: tuple[StageDefinition, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    quotas: Quotas = field(default_factory=Quotas)
    retention: Retention = field(default_factory=Retention)
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None = None
    purge_time: datetime | None = None
    revision: int = 0

    @property
    def etag(self) -> str:
        """Changes with every revision."""
        return etag_of(self.uid, self.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A named line of versions."""

    uid: str
    name: ModelName
    display_name: str = ""
    description: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    creator: str = ""
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None = None
    purge_time: datetime | None = None
    revision: int = 0

    @property
    def etag(self) -> str:
        """Changes with every revision."""
        return etag_of(self.uid, self.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a model."""

    uid: str
    model_uid: str
    name: VersionName
    state: VersionState = VersionState.DRAFT
    stage: str = ""
    stage_revision: int = 0
    """Revision at which it came to its stage; orders the holders of a stage that is not exclusive."""
    aliases: tuple[str, ...] = ()
    """Sorted. Read by joining the pointers; never written with the version."""
    version_label: str = ""
    owner: str = ""
    description: str = ""
    model_card: str = ""
    card: ModelCard | None = None
    """The card in parts."""
    tags: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    metadata: Metadata = field(default_factory=Metadata)
    formats: tuple[Format, ...] = ()
    file_count: int = 0
    total_size_bytes: int = 0
    manifest_digest: str = ""
    state_reason: str = ""
    """Why it was deprecated or yanked; empty for any other."""
    creator: str = ""
    contributors: tuple[str, ...] = ()
    """Who put bytes into it, sorted; of a copy also whoever made the original. None of them approves its promotion."""
    copied_from: str = ""
    """Name of the version it was copied from; empty for any other."""
    create_time: datetime
    update_time: datetime
    finalize_time: datetime | None = None
    expire_time: datetime | None = None
    delete_time: datetime | None = None
    purge_time: datetime | None = None
    revision: int = 0

    @property
    def etag(self) -> str:
        """Changes with every revision."""
        return etag_of(self.uid, self.revision)

    @property
    def location(self) -> str:
        """Pinned reference; empty while there is no manifest digest."""
        return self.name.location(self.manifest_digest) if self.manifest_digest else ""
