"""What the calls of every resource family stand on: the connection, the project, names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.client.errors import InvalidArgument
from registry_grpc.client.references import Reference, is_id, parse_reference, reference_from_name

if TYPE_CHECKING:
    from registry_grpc.client.connection import Connection


class Session:
    """A connection and the project short names are in."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def project(self) -> str:
        """Id of the project a short reference is in."""
        return self._connection.settings.project

    @property
    def endpoint(self) -> str:
        """Where the registry is."""
        return self._connection.settings.endpoint

    def reference(self, text: str | Reference) -> Reference:
        """A reference in this registry, from any form people type or a resource name.

        Raises: InvalidArgument, also when it names another registry: a token is never sent where a text says.
        """
        found = text if isinstance(text, Reference) else reference_from_name(text)
        found = found or parse_reference(str(text), self.project)
        if found.endpoint is not None and found.endpoint not in self.endpoint.split("//")[-1].split(","):
            raise InvalidArgument(
                f"{text!s} is in the registry at {found.endpoint}, this client talks to {self.endpoint}; "
                f"connect to it with --endpoint or MREG_ENDPOINT={found.endpoint}"
            )
        return found

    def model_name(self, model: str | Reference) -> str:
        """`projects/{project}/models/{model}` of a model given in any form without a version.

        Raises: InvalidArgument.
        """
        found = self.reference(model)
        if found.number is not None or found.digest or found.pointer:
            raise InvalidArgument(f"{model!s} is a version; a model is wanted here, e.g. {found.model}")
        return found.model_name

    def project_name(self, project: str | None = None) -> str:
        """`projects/{project}`; None means the one of this client.

        Raises: InvalidArgument.
        """
        chosen = (project or self.project).removeprefix("projects/")
        if not is_id(chosen):
            raise InvalidArgument(f"project {chosen!r} is no valid id: lower-case letters, digits, '.', '_' and '-'")
        return f"projects/{chosen}"
