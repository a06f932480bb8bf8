"""Stages, aliases, stage history, and the answer of Resolve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.services.codec.enums import STAGE_ACTION
from registry_grpc.services.codec.times import (
    duration_to_wire,
    optional_time_to_wire,
    time_to_wire,
)
from registry_grpc.v1 import models_pb2, stages_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from registry_grpc.domain.names import ModelName
    from registry_grpc.domain.pointers import Assignment, Pointer, Target
    from registry_grpc.v1 import artifacts_pb2


def alias_to_wire(pointer: Pointer) -> models_pb2.Alias:
    """An alias, or `latest`."""
    target = pointer.target
    return models_pb2.Alias(
        name=str(pointer.name),
        version=str(target.name) if target else "",
        version_number=pointer.number,
        manifest_digest=target.manifest_digest if target else "",
        update_time=optional_time_to_wire(pointer.set_time),
        actor=pointer.actor,
        revision=pointer.revision,
    )


def stage_to_wire(pointer: Pointer) -> stages_pb2.Stage:
    """A stage, held or vacant. A vacant one says who emptied it; `assign_time` is that of the holder only."""
    target = pointer.target
    return stages_pb2.Stage(
        name=str(pointer.name),
        version=str(target.name) if target else "",
        version_number=pointer.number,
        manifest_digest=target.manifest_digest if target else "",
        assign_time=optional_time_to_wire(pointer.set_time) if target else None,
        actor=pointer.actor,
        justification=pointer.justification,
        previous_version=_name_of(pointer.model, pointer.previous_number),
        generation=pointer.generation,
        etag=pointer.etag,
        revision=pointer.revision,
        frozen=pointer.freeze is not None,
        freeze_reason=pointer.freeze.reason if pointer.freeze else "",
        frozen_by=pointer.freeze.actor if pointer.freeze else "",
        freeze_time=time_to_wire(pointer.freeze.time) if pointer.freeze else None,
    )


def assignment_to_wire(row: Assignment) -> stages_pb2.StageAssignment:
    """One row of stage history."""
    return stages_pb2.StageAssignment(
        stage=row.stage,
        from_stage=row.from_stage,
        version=str(row.version),
        version_number=row.version.number,
        manifest_digest=row.manifest_digest,
        previous_version=_name_of(row.version.parent, row.previous_number),
        action=STAGE_ACTION.to_wire(row.action),
        actor=row.actor,
        justification=row.justification,
        assign_time=time_to_wire(row.assign_time),
        revision=row.revision,
        request_id=row.request_id,
        promotion_request=row.promotion_request,
        policies=row.policies,
        break_glass=row.break_glass,
    )


def _name_of(model: ModelName, number: int) -> str:
    return str(model.version(number)) if number else ""


def target_to_resolve_response(
    target: Target,
    *,
    pointer_revision: int,
    assign_time: datetime | None,
    max_age: timedelta,
    stale: bool = False,
    artifacts: Iterable[artifacts_pb2.Artifact] = (),
) -> stages_pb2.ResolveResponse:
    """The answer of Resolve for a version; for a number or digest the revision and time are the version's own."""
    return stages_pb2.ResolveResponse(
        version=str(target.name),
        version_number=target.name.number,
        version_uid=target.uid,
        manifest_digest=target.manifest_digest,
        location=target.location if target.manifest_digest else "",
        file_count=target.file_count,
        total_size_bytes=target.total_size_bytes,
        stage=target.stage,
        pointer_revision=pointer_revision,
        assign_time=optional_time_to_wire(assign_time),
        stale=stale,
        yanked=target.yanked,
        max_age=duration_to_wire(max_age),
        artifacts=artifacts,
    )


def pointer_to_resolve_response(
    pointer: Pointer,
    *,
    max_age: timedelta,
    stale: bool = False,
    artifacts: Iterable[artifacts_pb2.Artifact] = (),
) -> stages_pb2.ResolveResponse:
    """The answer of Resolve for a stage or alias that points somewhere.

    Raises: ValueError for a vacant one.
    """
    if pointer.target is None:
        msg = f"{pointer.name} points at no version"
        raise ValueError(msg)
    return target_to_resolve_response(
        pointer.target,
        pointer_revision=pointer.revision,
        assign_time=pointer.set_time,
        max_age=max_age,
        stale=stale,
        artifacts=artifacts,
    )


def unchanged_resolve_response(pointer_revision: int, *, stale: bool = False) -> stages_pb2.ResolveResponse:
    """The answer of Resolve when nothing moved since `if_changed_since`."""
    return stages_pb2.ResolveResponse(unchanged=True, pointer_revision=pointer_revision, stale=stale)
