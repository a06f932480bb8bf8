"""Models as searches told them last: see `version_memory`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.services.codec.models import model_to_wire
from registry_grpc.services.memory import Made, Recall
from registry_grpc.v1 import catalogue_pb2
from registry_grpc.wire import submessage

if TYPE_CHECKING:
    from registry_grpc.domain.resources import Model
    from registry_grpc.services.memory import Memory

MAX_BYTES = 8 << 20
"""Of messages, for some 10,000 models."""
_MODEL = catalogue_pb2.ModelMatch.MODEL_FIELD_NUMBER


class ModelRecall(Recall["Model", bytes]):
    """Models of one answer, each as the field of a ModelMatch."""

    def __init__(self, memory: Memory[bytes]) -> None:
        """Takes from `memory`, and remembers in it what it makes."""
        super().__init__(memory, _made)


def _made(model: Model) -> Made[bytes]:
    told = submessage(_MODEL, model_to_wire(model).SerializeToString())
    return Made((model.uid, model.revision), told, len(told))
