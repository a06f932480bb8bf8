"""The parts of the frozen metadata: framework, signature, parameters, dependencies, metrics, formats."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import invalid_field
from registry_grpc.domain.metadata import (
    Dependency,
    Format,
    Framework,
    Metric,
    ModelCard,
    Parameter,
    Signature,
    TensorSpec,
)
from registry_grpc.domain.packages import normalised_package
from registry_grpc.services.codec.enums import DATA_TYPE, DIRECTION
from registry_grpc.services.codec.times import (
    optional_time_from_wire,
    optional_time_to_wire,
)
from registry_grpc.v1 import metadata_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def framework_to_wire(framework: Framework) -> metadata_pb2.Framework:
    """The framework a model was made with."""
    return metadata_pb2.Framework(name=framework.name, version=framework.version)


def framework_from_wire(message: metadata_pb2.Framework) -> Framework:
    """The framework a model was made with."""
    return Framework(message.name, message.version)


def tensor_to_wire(tensor: TensorSpec) -> metadata_pb2.TensorSpec:
    """One input, output or parameter."""
    return metadata_pb2.TensorSpec(
        name=tensor.name,
        data_type=DATA_TYPE.to_wire(tensor.data_type),
        shape=tensor.shape,
        optional=tensor.optional,
    )


def tensor_from_wire(message: metadata_pb2.TensorSpec, path: str) -> TensorSpec:
    """Raises: INVALID_FIELD for an unknown data type."""
    return TensorSpec(
        name=message.name,
        data_type=DATA_TYPE.from_wire(message.data_type, f"{path}.data_type"),
        shape=tuple(message.shape),
        optional=message.optional,
    )


def signature_to_wire(signature: Signature) -> metadata_pb2.Signature:
    """What a model takes and gives."""
    return metadata_pb2.Signature(
        inputs=[tensor_to_wire(tensor) for tensor in signature.inputs],
        outputs=[tensor_to_wire(tensor) for tensor in signature.outputs],
        parameters=[tensor_to_wire(tensor) for tensor in signature.parameters],
    )


def signature_from_wire(message: metadata_pb2.Signature, path: str) -> Signature:
    """Raises: INVALID_FIELD."""
    return Signature(
        inputs=_tensors(message.inputs, f"{path}.inputs"),
        outputs=_tensors(message.outputs, f"{path}.outputs"),
        parameters=_tensors(message.parameters, f"{path}.parameters"),
    )


def _tensors(messages: Iterable[metadata_pb2.TensorSpec], path: str) -> tuple[TensorSpec, ...]:
    return tuple(tensor_from_wire(item, f"{path}[{at}]") for at, item in enumerate(messages))


def parameters_to_wire(
    parameters: Iterable[Parameter],
) -> dict[str, metadata_pb2.ParameterValue]:
    """Values by name, for a map field."""
    return {parameter.name: _value_to_wire(parameter) for parameter in parameters}


def _value_to_wire(parameter: Parameter) -> metadata_pb2.ParameterValue:
    if parameter.double is not None:
        return metadata_pb2.ParameterValue(double_value=parameter.double)
    if parameter.int64 is not None:
        return metadata_pb2.ParameterValue(int64_value=parameter.int64)
    if parameter.boolean is not None:
        return metadata_pb2.ParameterValue(bool_value=parameter.boolean)
    return metadata_pb2.ParameterValue(string_value=parameter.text or "")


def parameters_from_wire(messages: Mapping[str, metadata_pb2.ParameterValue], path: str) -> tuple[Parameter, ...]:
    """Sorted by name.

    Raises: INVALID_FIELD for a value of no kind.
    """
    return tuple(_parameter(name, messages[name], f"{path}[{name!r}]") for name in sorted(messages))


def _parameter(name: str, message: metadata_pb2.ParameterValue, path: str) -> Parameter:
    match message.WhichOneof("kind"):
        case "double_value":
            return Parameter(name, double=message.double_value)
        case "int64_value":
            return Parameter(name, int64=message.int64_value)
        case "bool_value":
            return Parameter(name, boolean=message.bool_value)
        case "string_value":
            return Parameter(name, text=message.string_value)
        case _:
            raise invalid_field(path, "needs a value of one kind")


def dependency_to_wire(dependency: Dependency) -> metadata_pb2.Dependency:
    """A package the model needs."""
    return metadata_pb2.Dependency(
        ecosystem=dependency.ecosystem,
        name=dependency.name,
        version=dependency.version,
        marker=dependency.marker,
    )


def dependency_from_wire(message: metadata_pb2.Dependency) -> Dependency:
    """A package the model needs, under the name that its ecosystem knows it by: whoever looks for it uses that."""
    name = normalised_package(message.ecosystem, message.name)
    return Dependency(message.ecosystem, name, message.version, message.marker)


def metric_to_wire(metric: Metric) -> metadata_pb2.Metric:
    """A measured quality."""
    return metadata_pb2.Metric(
        name=metric.name,
        value=metric.value,
        dataset=metric.dataset,
        dataset_version=metric.dataset_version,
        slice=metric.slice,
        direction=DIRECTION.to_wire(metric.direction),
        measure_time=optional_time_to_wire(metric.measure_time),
    )


def metric_from_wire(message: metadata_pb2.Metric, path: str) -> Metric:
    """Raises: INVALID_FIELD."""
    return Metric(
        name=message.name,
        value=message.value,
        dataset=message.dataset,
        dataset_version=message.dataset_version,
        slice=message.slice,
        direction=DIRECTION.optional_from_wire(message.direction, f"{path}.direction"),
        measure_time=optional_time_from_wire(message, "measure_time", path),
    )


def card_to_wire(card: ModelCard) -> metadata_pb2.ModelCard:
    """What people must know of a model."""
    return metadata_pb2.ModelCard(**asdict(card))


def card_from_wire(message: metadata_pb2.ModelCard) -> ModelCard:
    """What people must know of a model."""
    return ModelCard(
        intended_use=message.intended_use,
        limitations=message.limitations,
        ethical_considerations=message.ethical_considerations,
        training_data=message.training_data,
        evaluation=message.evaluation,
        contacts=tuple(message.contacts),
        license=message.license,
        languages=tuple(message.languages),
        citation=message.citation,
    )


def format_to_wire(found: Format) -> metadata_pb2.Format:
    """A file format found in the content."""
    return metadata_pb2.Format(
        name=found.name,
        executable=found.executable,
        example_path=found.example_path,
        file_count=found.file_count,
    )


def format_from_wire(message: metadata_pb2.Format) -> Format:
    """A file format found in the content."""
    return Format(message.name, message.executable, message.example_path, message.file_count)
