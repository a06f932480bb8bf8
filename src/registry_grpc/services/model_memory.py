"""Models as searches told them last: see `version_memory`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.services.codec.models import model_to_wire
from registry_grpc.services.memory import Memory
from registry_grpc.v1 import catalogue_pb2
from registry_grpc.wire import submessage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry_grpc.domain.resources import Model
    from registry_grpc.ports.search import ModelHit

MAX_BYTES = 8 << 20
"""Of messages, for some 10,000 models."""
_MODEL = catalogue_pb2.ModelMatch.MODEL_FIELD_NUMBER


class ModelMemory:
    """Messages of models. Safe to use by several threads."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        """Forgets what was not used for longest when it holds more than `max_bytes`."""
        self._memory: Memory[bytes] = Memory(max_bytes)

    def recall(self) -> ModelRecall:
        """For one answer."""
        return ModelRecall(self._memory)


class ModelRecall:
    """What one answer takes from the memory: kept until it is made, whatever is forgotten meanwhile."""

    def __init__(self, memory: Memory[bytes]) -> None:
        """Made by `ModelMemory.recall`."""
        self._memory = memory
        self._found: dict[str, bytes] = {}

    def has(self, hit: ModelHit) -> bool:
        """Whether `model` needs none for the hit."""
        told = self._memory.get((hit.uid, hit.revision))
        if told is not None:
            self._found[hit.uid] = told
        return told is not None

    def model(self, hit: ModelHit, models: Mapping[str, Model]) -> bytes | None:
        """What was found as the field of a ModelMatch; None when it is gone. `models` are those that `has` denied."""
        told = self._found.get(hit.uid)
        model = models.get(hit.uid) if told is None else None
        if model is None:
            return told
        told = submessage(_MODEL, model_to_wire(model).SerializeToString())
        # It may have changed since it was found.
        self._memory.put((model.uid, model.revision), told, len(told))
        return told
