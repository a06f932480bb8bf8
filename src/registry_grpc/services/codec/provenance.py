"""Where a version came from: run, code, data, steps, parents."""

from __future__ import annotations

from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.metadata import (
    CodeRevision,
    DatasetVersion,
    ParentModel,
    PreprocessingStep,
    Provenance,
    TrainingRun,
)
from registry_grpc.services.codec.enums import DATASET_ROLE, RELATION
from registry_grpc.services.codec.metadata import (
    parameters_from_wire,
    parameters_to_wire,
)
from registry_grpc.services.codec.times import (
    optional_time_from_wire,
    optional_time_to_wire,
)
from registry_grpc.v1 import metadata_pb2


def provenance_to_wire(provenance: Provenance) -> metadata_pb2.Provenance:
    """Where a version came from."""
    run = provenance.training_run
    return metadata_pb2.Provenance(
        training_run=None if run is None else run_to_wire(run),
        code=_optional_code_to_wire(provenance.code),
        training_data=[dataset_to_wire(data) for data in provenance.training_data],
        preprocessing=[step_to_wire(step) for step in provenance.preprocessing],
        parents=[parent_to_wire(parent) for parent in provenance.parents],
    )


def provenance_from_wire(message: metadata_pb2.Provenance, path: str) -> Provenance:
    """Raises: INVALID_FIELD."""
    return Provenance(
        training_run=run_from_wire(message.training_run, f"{path}.training_run")
        if message.HasField("training_run")
        else None,
        code=code_from_wire(message.code) if message.HasField("code") else None,
        training_data=tuple(
            dataset_from_wire(data, f"{path}.training_data[{at}]") for at, data in enumerate(message.training_data)
        ),
        preprocessing=tuple(
            step_from_wire(step, f"{path}.preprocessing[{at}]") for at, step in enumerate(message.preprocessing)
        ),
        parents=tuple(parent_from_wire(parent, f"{path}.parents[{at}]") for at, parent in enumerate(message.parents)),
    )


def run_to_wire(run: TrainingRun) -> metadata_pb2.TrainingRun:
    """The run that trained a model."""
    return metadata_pb2.TrainingRun(
        id=run.id,
        uri=run.uri,
        start_time=optional_time_to_wire(run.start_time),
        end_time=optional_time_to_wire(run.end_time),
        hardware=run.hardware,
    )


def run_from_wire(message: metadata_pb2.TrainingRun, path: str) -> TrainingRun:
    """Raises: INVALID_FIELD, also for an end before the start."""
    start, end = (optional_time_from_wire(message, field, path) for field in ("start_time", "end_time"))
    if start is not None and end is not None and end < start:
        raise invalid_field(f"{path}.end_time", "is before start_time")
    return TrainingRun(id=message.id, uri=message.uri, start_time=start, end_time=end, hardware=message.hardware)


def code_to_wire(code: CodeRevision) -> metadata_pb2.CodeRevision:
    """The code something was made with."""
    return metadata_pb2.CodeRevision(
        repository=code.repository,
        revision=code.revision,
        path=code.path,
        dirty=code.dirty,
    )


def _optional_code_to_wire(
    code: CodeRevision | None,
) -> metadata_pb2.CodeRevision | None:
    return None if code is None else code_to_wire(code)


def code_from_wire(message: metadata_pb2.CodeRevision) -> CodeRevision:
    """The code something was made with."""
    return CodeRevision(message.repository, message.revision, message.path, message.dirty)


def dataset_to_wire(data: DatasetVersion) -> metadata_pb2.DatasetVersion:
    """A data set that went into a model."""
    return metadata_pb2.DatasetVersion(
        name=data.name,
        version=data.version,
        uri=data.uri,
        digest=data.digest,
        role=DATASET_ROLE.to_wire(data.role),
    )


def dataset_from_wire(message: metadata_pb2.DatasetVersion, path: str) -> DatasetVersion:
    """Raises: INVALID_FIELD."""
    return DatasetVersion(
        name=message.name,
        version=message.version,
        uri=message.uri,
        digest=message.digest,
        role=DATASET_ROLE.optional_from_wire(message.role, f"{path}.role"),
    )


def step_to_wire(step: PreprocessingStep) -> metadata_pb2.PreprocessingStep:
    """A step from data source to training data."""
    return metadata_pb2.PreprocessingStep(
        name=step.name,
        version=step.version,
        code=_optional_code_to_wire(step.code),
        parameters=parameters_to_wire(step.parameters),
    )


def step_from_wire(message: metadata_pb2.PreprocessingStep, path: str) -> PreprocessingStep:
    """Raises: INVALID_FIELD."""
    return PreprocessingStep(
        name=message.name,
        version=message.version,
        code=code_from_wire(message.code) if message.HasField("code") else None,
        parameters=parameters_from_wire(message.parameters, f"{path}.parameters"),
    )


def parent_to_wire(parent: ParentModel) -> metadata_pb2.ParentModel:
    """A model this one came from."""
    return metadata_pb2.ParentModel(
        relation=RELATION.to_wire(parent.relation),
        version=parent.version,
        uri=parent.uri,
        digest=parent.digest,
    )


def parent_from_wire(message: metadata_pb2.ParentModel, path: str) -> ParentModel:
    """Raises: INVALID_FIELD."""
    return ParentModel(
        relation=RELATION.from_wire(message.relation, f"{path}.relation"),
        version=message.version,
        uri=message.uri,
        digest=message.digest,
    )
