"""The rules of stages, without a registry around them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ModelName, ProjectName
from registry_grpc.domain.pointers import Assignment, StageAction
from registry_grpc.domain.resources import Project, StageDefinition, Version, VersionState
from registry_grpc.domain.stages import (
    DEFAULT_STAGES,
    check_stages,
    exit_stage,
    require_assignable,
    require_transition,
    rollback_candidates,
    stage_of,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = ModelName("default", "m")
PROJECT = Project(uid="p", name=ProjectName("default"), stages=DEFAULT_STAGES, create_time=NOW, update_time=NOW)
READY = Version(
    uid="v", model_uid="m", name=MODEL.version(1), state=VersionState.READY, create_time=NOW, update_time=NOW
)


def arrivals(*rows):
    """History of one stage, oldest first: a number promoted, or (number, number left behind) rolled back."""
    history = []
    for revision, row in enumerate(rows, 1):
        number, left = row if isinstance(row, tuple) else (row, 0)
        history.append(
            Assignment(
                model_uid="m",
                revision=revision,
                index=0,
                stage="production",
                from_stage="",
                version=MODEL.version(number),
                version_uid=str(number),
                manifest_digest="",
                previous_number=left,
                action=StageAction.ROLLED_BACK if left else StageAction.PROMOTED,
                actor="",
                justification="",
                request_id="",
                assign_time=NOW,
            )
        )
    return history[::-1]


@pytest.mark.parametrize(
    ("rows", "current", "expected"),
    [
        ([], 0, []),
        ([1], 1, []),
        ([1], 0, [1]),
        ([1, 2, 3], 3, [2, 1]),
        ([1, 2, 3, (2, 3)], 2, [1]),
        ([1, 2, 3, (2, 3), (1, 2)], 1, []),
        ([1, 2, (1, 2), 2, 3], 3, [2, 1]),
        ([1, 2, 3, (2, 3), 4], 4, [2, 1]),
        ([1, 2, 1, 2], 2, [1]),
    ],
)
def test_a_rollback_goes_past_versions_that_were_rolled_back_from(rows, current, expected):
    assert list(rollback_candidates(arrivals(*rows), current)) == expected


def allowed(version, stage, *, rollback=False):
    try:
        require_transition(version, stage_of(PROJECT, stage), rollback=rollback)
    except RegistryError as error:
        assert error.reason is Reason.STATE_TRANSITION  # noqa: PT017 - either way is looked at
        return False
    return True


def test_the_default_graph_allows_exactly_these_moves():
    ids = [stage.id for stage in DEFAULT_STAGES]
    moves = {(a, b) for a in ["", *ids] for b in ids if a != b and allowed(replace(READY, stage=a), b)}
    assert moves == {
        ("development", "staging"),
        ("staging", "production"),
        ("staging", "development"),
        ("archived", "development"),
        ("archived", "staging"),
        *((stage, "archived") for stage in ("", "development", "staging", "production")),
    }
    assert not allowed(replace(READY, stage="archived"), "production")
    assert allowed(replace(READY, stage="archived"), "production", rollback=True)


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        (replace(READY, state=VersionState.DRAFT), Reason.VERSION_STATE),
        (replace(READY, state=VersionState.YANKED), Reason.VERSION_STATE),
        (replace(READY, delete_time=NOW), Reason.VERSION_STATE),
    ],
)
def test_drafts_yanked_and_deleted_versions_get_no_stage_and_no_alias(version, reason):
    with pytest.raises(RegistryError) as caught:
        require_assignable(version)
    assert caught.value.reason is reason


def test_who_leaves_goes_where_the_stage_says_else_to_archived_else_nowhere():
    assert [exit_stage(PROJECT, stage) for stage in DEFAULT_STAGES] == ["archived", "archived", "archived", ""]
    small = replace(PROJECT, stages=(StageDefinition("a", initial=True), StageDefinition("b")))
    assert exit_stage(small, small.stages[1]) == ""


def test_every_fault_of_a_graph_is_named_at_once():
    with pytest.raises(RegistryError) as caught:
        check_stages(
            [
                StageDefinition("A", initial=True, exclusive=True),
                StageDefinition("b", initial=True, displaced_to="b", accepts_from=("zz",)),
            ]
        )
    assert [each.subject for each in caught.value.violations] == [
        "project.stages",
        "project.stages[0].id",
        "project.stages[0].exclusive",
        "project.stages[0].displaced_to",
        "project.stages[1].accepts_from",
        "project.stages[1].displaced_to",
    ]
    check_stages(DEFAULT_STAGES)
