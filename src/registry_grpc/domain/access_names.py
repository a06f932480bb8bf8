"""Names of roles, bindings, service accounts and tokens, and the members that bindings have."""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry_grpc.domain.identity import ID_LENGTH
from registry_grpc.domain.names import ID_PATTERN, parts_of

AUTHENTICATED = "authenticated"
"""The member that is everyone who is proven."""
MAX_MEMBER = 300
_ID = ID_PATTERN
_SCOPE = rf"(?:projects/(?P<project>{_ID})(?:/models/(?P<model>{_ID}))?)?"
_IN_SCOPE = rf"(?:projects/(?P<project>{_ID})/(?:models/(?P<model>{_ID})/)?)?"
_PARENT = re.compile(_SCOPE)
_ROLE = re.compile(rf"roles/(?P<id>{_ID})")
_BINDING = re.compile(rf"{_IN_SCOPE}roleBindings/(?P<id>{_ID})")
_ACCOUNT = re.compile(rf"(?:projects/(?P<project>{_ID})/)?serviceAccounts/(?P<id>{_ID})")
_TOKEN = re.compile(rf"tokens/(?P<id>[0-9A-Za-z]{{{ID_LENGTH}}})")
_ACCOUNT_MEMBER = re.compile(rf"serviceAccount:(?:(?P<project>{_ID})/)?(?P<id>{_ID})")
_PERSON = re.compile(r"user:(?=\S)[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*\S")
_GROUP = re.compile(rf"group:{_ID}/(?=\S)[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*\S")


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """What a binding holds on: the registry, `projects/{project}`, or `projects/{project}/models/{model}`."""

    project: str = ""
    model: str = ""

    FORM = "[projects/{project}[/models/{model}]]"

    def __str__(self) -> str:
        if self.model:
            return f"projects/{self.project}/models/{self.model}"
        return f"projects/{self.project}" if self.project else ""

    @classmethod
    def parse(cls, text: str, field: str = "parent") -> Scope:
        """Raises: INVALID_RESOURCE_NAME."""
        return cls(**parts_of(_PARENT, text, field, cls.FORM))

    @property
    def shown(self) -> str:
        """For people."""
        return str(self) or "the registry"


REGISTRY = Scope()


@dataclass(frozen=True, slots=True, order=True)
class RoleName:
    """`roles/{role}`."""

    role: str

    FORM = "roles/{role}"

    def __str__(self) -> str:
        return f"roles/{self.role}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> RoleName:
        """Raises: INVALID_RESOURCE_NAME."""
        return cls(parts_of(_ROLE, text, field, cls.FORM)["id"])


@dataclass(frozen=True, slots=True, order=True)
class RoleBindingName:
    """`[projects/{project}/[models/{model}/]]roleBindings/{id}`."""

    project: str
    model: str
    id: str

    FORM = "[projects/{project}/[models/{model}/]]roleBindings/{role_binding}"

    def __str__(self) -> str:
        return f"{self.scope}/roleBindings/{self.id}" if self.project else f"roleBindings/{self.id}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> RoleBindingName:
        """Raises: INVALID_RESOURCE_NAME."""
        return cls(**parts_of(_BINDING, text, field, cls.FORM))

    @property
    def scope(self) -> Scope:
        """What it holds on."""
        return Scope(self.project, self.model)


@dataclass(frozen=True, slots=True, order=True)
class ServiceAccountName:
    """`[projects/{project}/]serviceAccounts/{id}`."""

    project: str
    id: str

    FORM = "[projects/{project}/]serviceAccounts/{service_account}"

    def __str__(self) -> str:
        return f"projects/{self.project}/serviceAccounts/{self.id}" if self.project else f"serviceAccounts/{self.id}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> ServiceAccountName:
        """Raises: INVALID_RESOURCE_NAME."""
        return cls(**parts_of(_ACCOUNT, text, field, cls.FORM))

    @classmethod
    def of_principal(cls, principal: str) -> ServiceAccountName | None:
        """The account that is called so as a member; None for every other kind of principal."""
        match = _ACCOUNT_MEMBER.fullmatch(principal)
        return cls(match["project"] or "", match["id"]) if match else None

    @property
    def principal(self) -> str:
        """What it is called as a member and in history."""
        return f"serviceAccount:{self.project}/{self.id}" if self.project else f"serviceAccount:{self.id}"


@dataclass(frozen=True, slots=True, order=True)
class TokenName:
    """`tokens/{token}`."""

    token: str

    FORM = "tokens/{token}"

    def __str__(self) -> str:
        return f"tokens/{self.token}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> TokenName:
        """Raises: INVALID_RESOURCE_NAME."""
        return cls(parts_of(_TOKEN, text, field, cls.FORM)["id"])


def is_member(text: str) -> bool:
    """Whether `text` may stand among the members of a binding."""
    if len(text) > MAX_MEMBER:
        return False
    return text == AUTHENTICATED or any(form.fullmatch(text) is not None for form in (_ACCOUNT_MEMBER, _PERSON, _GROUP))


def is_principal(text: str) -> bool:
    """Whether `text` may name one caller: a user or a service account."""
    return len(text) <= MAX_MEMBER and any(form.fullmatch(text) is not None for form in (_ACCOUNT_MEMBER, _PERSON))


def place_of(resource: str) -> tuple[str, str]:
    """Project and model that a resource name lies in; empty for none."""
    parts = resource.split("/", 4)
    if parts[0] != "projects" or len(parts) == 1:
        return "", ""
    return parts[1], parts[3] if len(parts) > 3 and parts[2] == "models" else ""  # noqa: PLR2004 - `models/{model}`
