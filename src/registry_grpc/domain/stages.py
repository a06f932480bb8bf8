"""The rules of stages: a sound graph, who may enter, who is displaced, where a rollback goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError, Violation, invalid_fields
from registry_grpc.domain.names import LATEST, is_pointer_id
from registry_grpc.domain.pointers import StageAction
from registry_grpc.domain.resources import StageDefinition, VersionState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from registry_grpc.domain.pointers import Assignment, Pointer
    from registry_grpc.domain.resources import Project, Version

ANY = "*"
MAX_STAGES = 16
DEFAULT_STAGES = (
    StageDefinition("development", initial=True, accepts_from=("staging", "archived")),
    StageDefinition("staging", protected=True, accepts_from=("development", "archived")),
    StageDefinition(
        "production",
        exclusive=True,
        protected=True,
        accepts_from=("staging",),
        displaced_to="archived",
    ),
    StageDefinition("archived", accepts_from=(ANY,)),
)


def check_stages(stages: Sequence[StageDefinition], field: str = "project.stages") -> None:
    """Refuse a stage graph that contradicts itself.

    Raises: INVALID_FIELD naming every fault.
    """
    faults = list(_faults(stages, field))
    if faults:
        raise invalid_fields(tuple(faults))


def _faults(stages: Sequence[StageDefinition], field: str) -> Iterable[Violation]:
    if not 1 <= len(stages) <= MAX_STAGES:
        yield Violation(field, f"needs 1 to {MAX_STAGES} stages, has {len(stages)}")
    ids = [stage.id for stage in stages]
    initial = [stage.id for stage in stages if stage.initial]
    if len(initial) != 1:
        yield Violation(
            field,
            f"exactly one stage must be initial, these are: {', '.join(initial) or 'none'}",
        )
    for index, stage in enumerate(stages):
        at = f"{field}[{index}]"
        if not is_pointer_id(stage.id) or stage.id == LATEST:
            yield Violation(
                f"{at}.id",
                f"{stage.id!r} must start with a letter, be a valid id, and not be {LATEST!r}",
            )
        if ids.index(stage.id) != index:
            yield Violation(f"{at}.id", f"{stage.id!r} appears twice")
        if stage.initial and stage.exclusive:
            yield Violation(
                f"{at}.exclusive",
                "the initial stage cannot be exclusive: every new version enters it",
            )
        for source in stage.accepts_from:
            if source != ANY and source not in ids:
                yield Violation(f"{at}.accepts_from", f"{source!r} is no stage of this list")
        if stage.exclusive and not stage.displaced_to:
            yield Violation(
                f"{at}.displaced_to",
                "an exclusive stage must say where a displaced holder goes",
            )
        yield from _displacement_faults(stage, stages, at)


def _displacement_faults(stage: StageDefinition, stages: Sequence[StageDefinition], at: str) -> Iterable[Violation]:
    if not stage.displaced_to:
        return
    target = next((other for other in stages if other.id == stage.displaced_to), None)
    if target is None or target.id == stage.id:
        yield Violation(
            f"{at}.displaced_to",
            f"{stage.displaced_to!r} is no other stage of this list",
        )
    elif target.exclusive:
        yield Violation(f"{at}.displaced_to", f"{target.id!r} is exclusive and may be taken")


def stage_of(project: Project, stage_id: str) -> StageDefinition:
    """The definition of `stage_id`.

    Raises: STAGE_NOT_FOUND.
    """
    for stage in project.stages:
        if stage.id == stage_id:
            return stage
    known = ", ".join(stage.id for stage in project.stages)
    raise RegistryError(
        Reason.STAGE_NOT_FOUND,
        f"project {project.name.project!r} has no stage {stage_id!r}; it has {known}",
        resource=f"{project.name}/stages/{stage_id}",
        stages=known,
    )


def initial_stage(project: Project) -> StageDefinition:
    """The stage a finalized version enters."""
    return next(stage for stage in project.stages if stage.initial)


def exit_stage(project: Project, stage: StageDefinition) -> str:
    """Id of the stage a displaced or vacated holder of `stage` goes to; empty when it leaves all stages."""
    return stage.displaced_to or next(
        (other.id for other in project.stages if other.id == "archived" and other.id != stage.id),
        "",
    )


def require_assignable(version: Version) -> None:
    """Refuse a version no stage or alias may point at.

    Raises: VERSION_STATE for a draft, a yanked or a deleted one.
    """
    if version.delete_time is not None:
        raise RegistryError(
            Reason.VERSION_STATE,
            f"{version.name} is deleted; undelete it first",
            version=version.name,
            state="DELETED",
        )
    if version.state in {VersionState.DRAFT, VersionState.YANKED}:
        todo = "finalize it first" if version.state is VersionState.DRAFT else "choose another version"
        raise RegistryError(
            Reason.VERSION_STATE,
            f"{version.name} is {version.state.upper()}; {todo}",
            version=version.name,
            state=version.state.upper(),
        )


def require_transition(version: Version, stage: StageDefinition, *, rollback: bool) -> None:
    """Refuse a move the graph does not allow. A rollback may also come from `archived` or wherever holders go.

    Raises: STATE_TRANSITION.
    """
    if version.stage in stage.accepts_from or ANY in stage.accepts_from:
        return
    if rollback and version.stage in {"archived", stage.displaced_to}:
        return
    came = version.stage or "no stage"
    accepts = ", ".join(stage.accepts_from) or "none"
    raise RegistryError(
        Reason.STATE_TRANSITION,
        f"{version.name} is in {came}; stage {stage.id!r} accepts from {accepts}",
        source=version.stage,
        to=stage.id,
        accepts=accepts,
    )


def require_holder(pointer: Pointer, expected: int | None, etag: str) -> None:
    """Compare and swap on a stage.

    Raises: STAGE_MOVED when another version holds it than expected (0: none), ETAG_MISMATCH for a stale etag.
    """
    if expected is not None and pointer.number != expected:
        raise RegistryError(
            Reason.STAGE_MOVED,
            f"{pointer.name} is held by {_holder(pointer.number)}, not by {_holder(expected)}; look again and decide",
            expectedVersion=expected,
            currentVersion=pointer.number,
            revision=pointer.revision,
        )
    if etag and etag != pointer.etag:
        raise RegistryError(
            Reason.ETAG_MISMATCH,
            f"{pointer.name} changed since etag {etag!r}; read it again",
            resource=pointer.name,
            currentEtag=pointer.etag,
        )


def _holder(number: int) -> str:
    return f"version {number}" if number else "no version"


def rollback_candidates(history: Iterable[Assignment], current: int) -> Iterable[int]:
    """Numbers of the versions a stage may go back to, best first.

    Walks the history of arrivals from the newest back. A version that a rollback left behind is passed over from
    then on, so that rolling back twice goes two steps back and not to and fro.
    """
    left_behind = {current}
    for row in history:
        if row.action is StageAction.ROLLED_BACK and row.previous_number:
            left_behind.add(row.previous_number)
        number = row.version.number
        if number not in left_behind:
            left_behind.add(number)
            yield number
