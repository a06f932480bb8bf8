"""What a table shows of each kind of resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from registry_grpc.cli.output import Columns, short_enum, size, when
from registry_grpc.client.metadata import plain as value_of
from registry_grpc.v1 import server_pb2, stages_pb2, versions_pb2


def name(item: Any) -> str:  # noqa: ANN401 -- any resource
    """Resource name."""
    return str(item.name)


def last(resource_name: str) -> str:
    """Last segment of a resource name."""
    return resource_name.rpartition("/")[2]


def state(version: versions_pb2.ModelVersion) -> str:
    """State of a version, `deleted` before any other."""
    if version.HasField("delete_time"):
        return "deleted"
    return short_enum(versions_pb2.VersionState, version.state, "VERSION_STATE_")


def _metrics(version: versions_pb2.ModelVersion) -> dict[str, str]:
    return {f"{m.name}{f'[{m.slice}]' if m.slice else ''}": f"{m.value:g}" for m in version.metrics}


def _framework(version: versions_pb2.ModelVersion) -> str:
    made = version.framework
    return f"{made.name}=={made.version}" if made.version else made.name


PROJECTS: Columns = {
    "name": lambda project: last(project.name),
    "display name": lambda project: project.display_name,
    "stages": lambda project: [stage.id for stage in project.stages],
    "created": lambda project: when(project, "create_time"),
    "deleted": lambda project: when(project, "delete_time"),
}
PROJECT: Columns = {
    **PROJECTS,
    "description": lambda project: project.description,
    "tags": lambda project: dict(project.tags),
    "purged at": lambda project: when(project, "purge_time"),
    "etag": lambda project: project.etag,
}


def _of(used: int, limit: int, show: Callable[[int], str] = str) -> str:
    return f"{show(used)} of {show(limit)}" if limit else show(used)


def _bytes(tally: server_pb2.ByteCount) -> str:
    return f"{tally.count} ({size(tally.size_bytes)})"


COLLECTABLE: Columns = {
    "unneeded, waiting": lambda found: _bytes(found.waiting),
    "unneeded, would go": lambda found: _bytes(found.collected),
    "unknown, waiting": lambda found: _bytes(found.orphans_waiting),
    "unknown, would go": lambda found: _bytes(found.orphans_collected),
}
COLLECTED: Columns = {
    "unneeded, waiting": lambda found: _bytes(found.waiting),
    "unneeded, removed": lambda found: _bytes(found.collected),
    "unknown, waiting": lambda found: _bytes(found.orphans_waiting),
    "unknown, removed": lambda found: _bytes(found.orphans_collected),
}
USAGE: Columns = {
    "name": lambda usage: last(usage.name),
    "stored": lambda usage: _of(usage.stored_bytes, usage.quotas.max_stored_bytes, size),
    "reserved": lambda usage: size(usage.reserved_bytes),
    "models": lambda usage: _of(usage.models, usage.quotas.max_models),
    "versions": lambda usage: _of(usage.versions, usage.quotas.max_versions),
    "open uploads": lambda usage: _of(usage.open_uploads, usage.quotas.max_open_uploads),
}
MODELS: Columns = {
    "name": lambda model: last(model.name),
    "display name": lambda model: model.display_name,
    "owner": lambda model: model.owner,
    "tags": lambda model: dict(model.tags),
    "updated": lambda model: when(model, "update_time"),
    "deleted": lambda model: when(model, "delete_time"),
}
MODEL: Columns = {
    **MODELS,
    "description": lambda model: model.description,
    "created": lambda model: when(model, "create_time"),
    "creator": lambda model: model.creator,
    "etag": lambda model: model.etag,
}
VERSIONS: Columns = {
    "number": lambda version: version.number,
    "label": lambda version: version.version_label,
    "state": state,
    "stage": lambda version: version.stage,
    "aliases": lambda version: list(version.aliases),
    "size": lambda version: size(version.total_size_bytes),
    "metrics": _metrics,
    "created": lambda version: when(version, "create_time"),
}
VERSION: Columns = {
    "name": name,
    **{heading: column for heading, column in VERSIONS.items() if heading != "number"},
    "files": lambda version: version.file_count,
    "framework": _framework,
    "algorithm": lambda version: version.algorithm,
    "task": lambda version: version.task,
    "domain": lambda version: version.domain,
    "formats": lambda version: [found.name for found in version.formats],
    "parameters": lambda version: {key: value_of(value) for key, value in version.parameters.items()},
    "dependencies": lambda version: [f"{need.name} {need.version}".strip() for need in version.dependencies],
    "owner": lambda version: version.owner,
    "description": lambda version: version.description,
    "tags": lambda version: dict(version.tags),
    "creator": lambda version: version.creator,
    "copied from": lambda version: version.copied_from,
    "finalized": lambda version: when(version, "finalize_time"),
    "etag": lambda version: version.etag,
    "location": lambda version: version.location,
}
ALIASES: Columns = {
    "alias": lambda alias: last(alias.name),
    "version": lambda alias: alias.version_number,
    "digest": lambda alias: alias.manifest_digest,
    "updated": lambda alias: when(alias, "update_time"),
    "by": lambda alias: alias.actor,
}
HISTORY: Columns = {
    "when": lambda row: when(row, "assign_time"),
    "version": lambda row: row.version_number,
    "from": lambda row: row.from_stage,
    "to": lambda row: row.stage,
    "action": lambda row: short_enum(stages_pb2.StageAction, row.action, "STAGE_ACTION_"),
    "by": lambda row: row.actor,
    "reason": lambda row: row.justification,
}
STAGES: Columns = {
    "stage": lambda stage: last(stage.name),
    "version": lambda stage: stage.version_number or "",
    "since": lambda stage: when(stage, "assign_time"),
    "by": lambda stage: stage.actor,
    "reason": lambda stage: stage.justification,
}
