"""CEL over the messages of the contract, by the implementation in C++ that its authors maintain."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cel_expr_python import cel  # type: ignore[import-untyped] # it has stubs and no py.typed

from registry_grpc.services.codec.versions import version_to_wire
from registry_grpc.services.expression_costs import cost_fault
from registry_grpc.v1 import versions_pb2

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from registry_grpc.domain.resources import Version

_VERSION = "registry_grpc.v1.ModelVersion"
_CACHED = 1024
_MAX_FAULT_CHARS = 300


class CelExpressions:
    """Implements `ports.governance.Expressions`. Types are those of the contract: a misspelt field is found at once."""

    def __init__(self) -> None:
        """Nothing is compiled yet."""
        version = cel.Type(_VERSION)
        self._env = cel.NewEnv(
            variables={"version": version, "holder": version, "stage": cel.Type.STRING, "now": cel.Type.TIMESTAMP}
        )
        self._lock = threading.Lock()
        self._compiled = lru_cache(maxsize=_CACHED)(self._compile)

    def fault(self, text: str) -> str:
        """See the port."""
        try:
            self._program(text)
        except ValueError as error:
            return str(error)
        return ""

    def over(self, version: Version, holder: Version | None, stage: str, now: datetime) -> Callable[[str], bool]:
        """See the port."""
        data = {
            "version": version_to_wire(version),
            "holder": versions_pb2.ModelVersion() if holder is None else version_to_wire(holder),
            "stage": stage,
            "now": now,
        }
        activation = self._env.Activation(data)

        def holds(text: str) -> bool:
            program = self._program(text)
            try:
                value: Any = program.eval(activation).value()
            except RuntimeError as error:
                raise ValueError(_short(f"cannot be worked out: {error}")) from None
            if not isinstance(value, bool):
                raise ValueError(_short(f"cannot be worked out: {value}"))  # noqa: TRY004 - a fault of the data
            return value

        return holds

    def _program(self, text: str) -> cel.Expression:
        with self._lock:
            return self._compiled(text)

    def _compile(self, text: str) -> cel.Expression:
        try:
            program = self._env.compile(text)
        except RuntimeError as error:
            raise ValueError(_short(str(error).removeprefix("INVALID_ARGUMENT: "))) from None
        if program.return_type() != cel.Type.BOOL:
            raise ValueError(f"comes to {program.return_type().name()}, must come to bool")
        if fault := cost_fault(program.serialize()):
            raise ValueError(fault)
        return program


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _MAX_FAULT_CHARS else flat[:_MAX_FAULT_CHARS] + "…"
