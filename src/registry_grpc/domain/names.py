"""Resource names and the references people type; one grammar for server, CLI and every client.

Resource names follow AIP-122. References are described in the contract: `[project:]model[/number][@what]`,
also as `mreg://[host:port/]project/model…`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry_grpc.domain.errors import Reason, RegistryError, Violation, shortened

ID_PATTERN = r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?"
POINTER_PATTERN = r"[a-z]([a-z0-9._-]{0,61}[a-z0-9])?"
NUMBER_PATTERN = r"[1-9][0-9]{0,17}"
ARTIFACT_ID_PATTERN = r"[a-z2-7]{26}"
DEPLOYMENT_ID_PATTERN = r"[0-9a-f]{20}"
UUID_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
MANIFEST_DIGEST_PATTERN = r"sha256:[0-9a-f]{64}"
LATEST = "latest"
DEFAULT_PROJECT = "default"
SCHEME = "mreg://"

_ID = re.compile(ID_PATTERN)
_POINTER = re.compile(POINTER_PATTERN)
_MANIFEST_DIGEST = re.compile(MANIFEST_DIGEST_PATTERN)


def is_id(text: str) -> bool:
    """Whether `text` may be the id of a project or model."""
    return _ID.fullmatch(text) is not None


def is_pointer_id(text: str) -> bool:
    """Whether `text` may name a stage or alias: an id that starts with a letter, so it is never a number."""
    return _POINTER.fullmatch(text) is not None


def is_manifest_digest(text: str) -> bool:
    """Whether `text` is `sha256:` and 64 lowercase hexadecimal characters."""
    return _MANIFEST_DIGEST.fullmatch(text) is not None


def parts_of(pattern: re.Pattern[str], text: str, field: str, form: str) -> dict[str, str]:
    """What the groups of `pattern` found in the whole of a name; empty for one that was left out.

    Raises: INVALID_RESOURCE_NAME.
    """
    match = pattern.fullmatch(text)
    if match is None:
        shown = shortened(text)
        raise RegistryError(
            Reason.INVALID_RESOURCE_NAME,
            f"{field}: {shown!r} is not a name of the form {form}",
            violations=(Violation(field, f"must have the form {form}"),),
            pattern=form,
            value=shown,
        )
    return match.groupdict(default="")


def _parse(text: str, form: str, field: str) -> dict[str, str]:
    return parts_of(_COMPILED[form], text, field, form)


@dataclass(frozen=True, slots=True, order=True)
class ProjectName:
    """`projects/{project}`."""

    project: str

    FORM = "projects/{project}"

    def __str__(self) -> str:
        return f"projects/{self.project}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> ProjectName:
        """Raises: INVALID_RESOURCE_NAME."""
        return cls(**_parse(text, cls.FORM, field))


def project_not_found(project: str) -> RegistryError:
    """The error for an absent project; the same for one the caller has no binding in."""
    name = ProjectName(project)
    return RegistryError(
        Reason.PROJECT_NOT_FOUND,
        f"{name} does not exist; list projects to see those that do, or create it",
        resource=name,
    )


@dataclass(frozen=True, slots=True, order=True)
class ModelName:
    """`projects/{project}/models/{model}`."""

    project: str
    model: str

    FORM = "projects/{project}/models/{model}"

    def __str__(self) -> str:
        return f"projects/{self.project}/models/{self.model}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> ModelName:
        """Raises: INVALID_RESOURCE_NAME."""
        return cls(**_parse(text, cls.FORM, field))

    def version(self, number: int) -> VersionName:
        """The name of one of its versions."""
        return VersionName(self.project, self.model, number)


@dataclass(frozen=True, slots=True, order=True)
class VersionName:
    """`projects/{project}/models/{model}/versions/{number}`."""

    project: str
    model: str
    number: int

    FORM = "projects/{project}/models/{model}/versions/{number}"

    def __str__(self) -> str:
        return f"projects/{self.project}/models/{self.model}/versions/{self.number}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> VersionName:
        """Raises: INVALID_RESOURCE_NAME."""
        parts = _parse(text, cls.FORM, field)
        return cls(parts["project"], parts["model"], int(parts["number"]))

    @property
    def parent(self) -> ModelName:
        """Its model."""
        return ModelName(self.project, self.model)

    def location(self, manifest_digest: str) -> str:
        """Its pinned reference as a URI."""
        return f"{SCHEME}{self.project}/{self.model}/{self.number}@{manifest_digest}"


@dataclass(frozen=True, slots=True, order=True)
class PointerName:
    """`projects/{project}/models/{model}/stages/{id}` or `…/aliases/{id}`, as `collection` says."""

    project: str
    model: str
    collection: str
    id: str

    STAGE_FORM = "projects/{project}/models/{model}/stages/{stage}"

    def __str__(self) -> str:
        return f"projects/{self.project}/models/{self.model}/{self.collection}/{self.id}"

    @classmethod
    def parse_stage(cls, text: str, field: str = "name") -> PointerName:
        """Raises: INVALID_RESOURCE_NAME."""
        parts = _parse(text, cls.STAGE_FORM, field)
        return cls(parts["project"], parts["model"], "stages", parts["stage"])

    @property
    def parent(self) -> ModelName:
        """Its model."""
        return ModelName(self.project, self.model)


@dataclass(frozen=True, slots=True, order=True)
class ArtifactName:
    """`projects/{project}/models/{model}/versions/{number}/artifacts/{artifact}`."""

    project: str
    model: str
    number: int
    artifact: str

    FORM = "projects/{project}/models/{model}/versions/{number}/artifacts/{artifact}"

    def __str__(self) -> str:
        return f"{self.parent}/artifacts/{self.artifact}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> ArtifactName:
        """Raises: INVALID_RESOURCE_NAME."""
        parts = _parse(text, cls.FORM, field)
        return cls(parts["project"], parts["model"], int(parts["number"]), parts["artifact"])

    @property
    def parent(self) -> VersionName:
        """Its version."""
        return VersionName(self.project, self.model, self.number)


@dataclass(frozen=True, slots=True, order=True)
class UploadName:
    """`projects/{project}/uploads/{uuid}`."""

    project: str
    upload: str

    FORM = "projects/{project}/uploads/{upload}"

    def __str__(self) -> str:
        return f"projects/{self.project}/uploads/{self.upload}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> UploadName:
        """Raises: INVALID_RESOURCE_NAME."""
        return cls(**_parse(text, cls.FORM, field))


@dataclass(frozen=True, slots=True, order=True)
class DeploymentName:
    """`projects/{project}/deployments/{deployment}`."""

    project: str
    deployment: str

    FORM = "projects/{project}/deployments/{deployment}"

    def __str__(self) -> str:
        return f"projects/{self.project}/deployments/{self.deployment}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> DeploymentName:
        """Raises: INVALID_RESOURCE_NAME."""
        return cls(**_parse(text, cls.FORM, field))


_SEGMENTS = {
    "project": ID_PATTERN,
    "model": ID_PATTERN,
    "number": NUMBER_PATTERN,
    "stage": POINTER_PATTERN,
    "artifact": ARTIFACT_ID_PATTERN,
    "upload": UUID_PATTERN,
    "deployment": DEPLOYMENT_ID_PATTERN,
}


def _compile(form: str) -> re.Pattern[str]:
    return re.compile(
        re.sub(r"\{(\w+)\}", lambda found: f"(?P<{found[1]}>{_SEGMENTS[found[1]]})", form),
    )


_COMPILED = {
    form: _compile(form)
    for form in (
        ProjectName.FORM,
        ModelName.FORM,
        VersionName.FORM,
        PointerName.STAGE_FORM,
        ArtifactName.FORM,
        UploadName.FORM,
        DeploymentName.FORM,
    )
}
