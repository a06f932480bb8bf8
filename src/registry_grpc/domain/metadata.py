"""The canonical metadata of a version: typed values, frozen when the version is finalized."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DataType(StrEnum):
    """Element type of a tensor or column."""

    BOOL = "bool"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"
    BYTES = "bytes"
    TIMESTAMP = "timestamp"
    OBJECT = "object"


class Direction(StrEnum):
    """Which way a metric is better."""

    MAXIMISE = "maximise"
    MINIMISE = "minimise"


class DatasetRole(StrEnum):
    """What a data set was used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Relation(StrEnum):
    """How a model came from a parent."""

    FINE_TUNED = "fine_tuned"
    DISTILLED = "distilled"
    QUANTISED = "quantised"
    CONVERTED = "converted"
    ENSEMBLE_MEMBER = "ensemble_member"


@dataclass(frozen=True, slots=True)
class Framework:
    """The framework a model was made with."""

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One named input, output or parameter. Shape is outermost first, -1 for any size."""

    name: str
    data_type: DataType
    shape: tuple[int, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and gives."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    parameters: tuple[TensorSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named value; exactly one of the four is not None."""

    name: str
    double: float | None = None
    int64: int | None = None
    boolean: bool | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Dependency:
    """A package the model needs."""

    ecosystem: str
    name: str
    version: str = ""
    marker: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured quality. NaN and infinities are kept and never satisfy a comparison."""

    name: str
    value: float
    dataset: str = ""
    dataset_version: str = ""
    slice: str = ""
    direction: Direction | None = None
    measure_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """The run that trained a model. The URI is a label and is never opened."""

    id: str = ""
    uri: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    hardware: str = ""


@dataclass(frozen=True, slots=True)
class CodeRevision:
    """The code something was made with. The repository is a label and is never opened."""

    repository: str = ""
    revision: str = ""
    path: str = ""
    dirty: bool = False


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A data set that went into a model. The URI is a label and is never opened."""

    name: str
    version: str = ""
    uri: str = ""
    digest: str = ""
    role: DatasetRole | None = None


@dataclass(frozen=True, slots=True)
class PreprocessingStep:
    """A step from data source to training data."""

    name: str
    version: str = ""
    code: CodeRevision | None = None
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class ParentModel:
    """A model this one came from: a version of this registry, or a URI outside that is never opened."""

    relation: Relation
    version: str = ""
    uri: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a version came from."""

    training_run: TrainingRun | None = None
    code: CodeRevision | None = None
    training_data: tuple[DatasetVersion, ...] = ()
    preprocessing: tuple[PreprocessingStep, ...] = ()
    parents: tuple[ParentModel, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What people must know of a model before they use it. Texts are Markdown; nothing here reads them."""

    intended_use: str = ""
    limitations: str = ""
    ethical_considerations: str = ""
    training_data: str = ""
    evaluation: str = ""
    contacts: tuple[str, ...] = ()
    license: str = ""
    languages: tuple[str, ...] = ()
    citation: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    """A file format found in the content of a version."""

    name: str
    executable: bool
    example_path: str
    file_count: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """Everything about a version that is frozen when it is finalized. Parameters are sorted by name."""

    framework: Framework | None = None
    algorithm: str = ""
    task: str = ""
    domain: str = ""
    signature: Signature | None = None
    provenance: Provenance | None = None
    parameters: tuple[Parameter, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    metrics: tuple[Metric, ...] = ()
