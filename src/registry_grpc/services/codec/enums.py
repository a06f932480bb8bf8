"""Enums on the wire are open: an unknown number must become INVALID_FIELD here, never a value of the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from registry_grpc.domain.artifacts import UploadState
from registry_grpc.domain.errors import RegistryError, invalid_field
from registry_grpc.domain.metadata import DatasetRole, DataType, Direction, Relation
from registry_grpc.domain.pointers import StageAction
from registry_grpc.domain.resources import VersionState
from registry_grpc.v1 import artifacts_pb2, metadata_pb2, stages_pb2, versions_pb2

if TYPE_CHECKING:
    from enum import StrEnum

    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper

E = TypeVar("E", bound="StrEnum")


class EnumCodec(Generic[E]):
    """Two tables between an enum of the domain and the wire enum whose value names are prefix + member name."""

    def __init__(self, domain: type[E], wire: _EnumTypeWrapper[Any], prefix: str) -> None:
        """Raises: ValueError, at import, when a member has no value on the wire."""
        self._wire: dict[E, Any] = {member: wire.Value(prefix + member.name) for member in domain}
        self._domain = {number: member for member, number in self._wire.items()}

    def to_wire(self, value: E | None) -> Any:  # noqa: ANN401 - each wire enum has its own number type
        """The number; that of UNSPECIFIED for None."""
        return 0 if value is None else self._wire[value]

    def from_wire(self, number: int, path: str) -> E:
        """Raises: INVALID_FIELD, also for UNSPECIFIED."""
        try:
            return self._domain[number]
        except KeyError:
            raise self._refusal(number, path) from None

    def optional_from_wire(self, number: int, path: str) -> E | None:
        """As `from_wire`, but UNSPECIFIED is None."""
        return None if number == 0 else self.from_wire(number, path)

    def _refusal(self, number: int, path: str) -> RegistryError:
        known = ", ".join(member.name for member in self._wire)
        what = "is required" if number == 0 else f"{number} is no known value"
        return invalid_field(path, f"{what}; one of {known}")


VERSION_STATE = EnumCodec(VersionState, versions_pb2.VersionState, "VERSION_STATE_")
STAGE_ACTION = EnumCodec(StageAction, stages_pb2.StageAction, "STAGE_ACTION_")
DATA_TYPE = EnumCodec(DataType, metadata_pb2.DataType, "DATA_TYPE_")
DIRECTION = EnumCodec(Direction, metadata_pb2.Metric.Direction, "DIRECTION_")
DATASET_ROLE = EnumCodec(DatasetRole, metadata_pb2.DatasetVersion.Role, "ROLE_")
RELATION = EnumCodec(Relation, metadata_pb2.ParentModel.Relation, "RELATION_")
UPLOAD_STATE = EnumCodec(UploadState, artifacts_pb2.Upload.State, "STATE_")
