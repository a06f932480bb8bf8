"""The fields a filter may name. docs/catalogue.md lists the same."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from registry_grpc.domain.filters.conditions import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping


class Shape(Enum):
    """How many values a field has, and whether they have keys."""

    ONE = auto()
    """One value. `:` asks whether it is in the text."""
    MANY = auto()
    """Any number. `:` asks whether it is one of them."""
    KEYED = auto()
    """One for each key, `tags.team`; without a key `:` asks for keys, `tags:team`."""
    METRICS = auto()
    """As KEYED, by metric; several for each."""
    PARAMETERS = auto()
    """As KEYED; numbers, truths or texts, as the value in the filter is."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field that can be compared."""

    name: str
    kind: Kind
    shape: Shape = Shape.ONE
    words: frozenset[str] = frozenset()
    """The only values there are, in lower case; empty for any. Filters may write them in capitals."""


def _texts(names: str, shape: Shape = Shape.ONE) -> list[Field]:
    return [Field(name, Kind.TEXT, shape) for name in names.split()]


def _of(kind: Kind, names: str) -> list[Field]:
    return [Field(name, kind) for name in names.split()]


def _by_name(*groups: list[Field]) -> Mapping[str, Field]:
    return {field.name: field for group in groups for field in group}


_STATES = Field("state", Kind.TEXT, words=frozenset({"draft", "ready", "deprecated", "yanked"}))
_RUNNING = Field(
    "deployments.state",
    Kind.TEXT,
    Shape.MANY,
    words=frozenset({"pending", "rolling_out", "serving", "degraded", "failed"}),
)
VERSION_FIELDS = _by_name(
    _texts("project model stage version_label owner creator description manifest_digest copied_from"),
    _texts("framework framework.version algorithm task domain code.repository code.revision run.id card.license"),
    _texts("aliases formats training_data parents card.languages", Shape.MANY),
    _texts("deployments.environment deployments.cluster", Shape.MANY),
    _texts("tags dependencies inputs outputs", Shape.KEYED),
    [_STATES, _RUNNING],
    [Field("metrics", Kind.NUMBER, Shape.METRICS), Field("parameters", Kind.TEXT, Shape.PARAMETERS)],
    _of(Kind.NUMBER, "number file_count total_size_bytes"),
    _of(Kind.TIME, "create_time update_time finalize_time delete_time"),
    _of(Kind.FLAG, "executable deployed"),
)
"""Of versions. `training_data` is the name of a data set, `name@version`, and its digest; `parents` the name of a
version or a URI; `inputs` and `outputs` give the element type by name; deployments that are retired do not count."""
MODEL_FIELDS = _by_name(
    _texts("project model display_name owner creator description"),
    _texts("tags", Shape.KEYED),
    _of(Kind.TIME, "create_time update_time delete_time"),
)
"""Of models."""
OTHER_NAMES: Mapping[str, str] = {
    "alias": "aliases",
    "format": "formats",
    "framework.name": "framework",
    "id": "model",
    "label": "version_label",
    "size": "total_size_bytes",
    "tag": "tags",
}
"""What people write as well."""
