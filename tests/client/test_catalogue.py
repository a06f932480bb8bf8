from concurrent.futures import ThreadPoolExecutor
from datetime import UTC

import pytest

from registry_grpc.client import (
    AlreadyExists,
    Conflict,
    FailedPrecondition,
    FeatureDisabled,
    InvalidArgument,
    NotFound,
    Registry,
    Unauthenticated,
    Unavailable,
)
from registry_grpc.v1 import versions_pb2


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights")
    return path


def test_a_model_from_its_creation_to_its_return(registry):
    made = registry.create_model("life", description="one", tags={"team": "a"})
    assert registry.get_model("life") == made
    changed = registry.update_model("life", description="two", tags={"team": "b"}, etag=made.etag)
    assert (changed.description, dict(changed.tags)) == ("two", {"team": "b"})
    with pytest.raises(Conflict) as caught:
        registry.update_model("life", description="three", etag=made.etag)
    assert caught.value.reason == "ETAG_MISMATCH"
    assert registry.delete_model("life").HasField("delete_time")
    assert "life" not in [m.name.rpartition("/")[2] for m in registry.list_models()]
    assert "life" in [m.name.rpartition("/")[2] for m in registry.list_models(show_deleted=True)]
    with pytest.raises(AlreadyExists) as taken:
        registry.create_model("life")
    assert taken.value.metadata["softDeleted"]
    assert not registry.undelete_model("life").HasField("delete_time")


def test_a_field_can_be_emptied(registry):
    registry.create_model("emptied", description="one", owner="me")
    assert registry.update_model("emptied", description="").description == ""
    assert registry.get_model("emptied").owner == "me"


def test_lists_go_on_over_their_pages(registry):
    for number in range(5):
        registry.create_model(f"page-{number}")
    found = [m.name.rpartition("/")[2] for m in registry.list_models(page_size=2)]
    assert [name for name in found if name.startswith("page-")] == [f"page-{number}" for number in range(5)]


def test_projects_keep_things_apart(registry, server):
    registry.create_project(
        "team",
        display_name="Team",
        stages=[
            {"id": "new", "initial": True},
            {"id": "live", "exclusive": True, "accepts_from": ["*"], "displaced_to": "new"},
        ],
    )
    assert [stage.id for stage in registry.get_project("team").stages] == ["new", "live"]
    registry.create_model("team:apart")
    with pytest.raises(NotFound):
        registry.get_model("apart")
    with Registry(server.endpoint, token=server.token, project="team") as other:
        assert other.get_model("apart").name == "projects/team/models/apart"
        assert [m.name for m in other.list_models()] == ["projects/team/models/apart"]
    assert registry.update_project("team", description="ours").description == "ours"
    assert "projects/team" in [project.name for project in registry.list_projects()]


def test_stages_move_and_move_back(registry, file):
    for auc in (0.1, 0.2):
        registry.push("staged", file, metrics={"auc": auc})
    for number in (1, 2):
        registry.promote(f"staged/{number}", "staging")
        before = None if number == 1 else 1
        moved = registry.promote(f"staged/{number}", "production", expected=before or 0, reason=f"n{number}")
        assert moved.stage.version_number == number
    assert registry.resolve("staged@production").version_number == 2
    registry.push("staged", file, metrics={"auc": 0.3})
    registry.promote("staged/3", "staging")
    with pytest.raises(Conflict) as caught:
        registry.promote("staged/3", "production", expected=1)
    assert caught.value.reason == "STAGE_MOVED"
    assert caught.value.metadata["currentVersion"] == "2"
    assert registry.rollback("staged", "production", reason="worse").stage.version_number == 1
    assert registry.vacate("staged", "production", expected=1).stage.version_number == 0
    with pytest.raises(NotFound) as vacant:
        registry.resolve("staged@production")
    assert vacant.value.reason == "STAGE_VACANT"
    rows = list(registry.history("staged", "production"))
    assert [row.version_number for row in rows] == [1, 2, 1]
    assert rows[0].justification == "worse"
    assert registry.resolve("staged@production", as_of=rows[1].assign_time.ToDatetime(UTC)).version_number == 2
    assert {stage.name.rpartition("/")[2] for stage in registry.list_stages("staged")} >= {"staging", "production"}


def test_a_promotion_by_pointer_is_pinned(registry, file):
    registry.push("pointed", file)
    assert registry.promote("pointed@latest", "staging").stage.version_number == 1
    with pytest.raises(InvalidArgument, match="say which version"):
        registry.promote("pointed", "staging")
    with pytest.raises(NotFound) as unknown:
        registry.promote("pointed/1", "nowhere")
    assert unknown.value.reason == "STAGE_NOT_FOUND"


def test_aliases_point_move_and_go(registry, file):
    registry.push("aliased", file)
    registry.push("aliased", file, metrics={"auc": 1.0})
    assert registry.set_alias("aliased/1", "champion", expected=0).version_number == 1
    assert registry.resolve("aliased@champion").version_number == 1
    with pytest.raises(Conflict):
        registry.set_alias("aliased/2", "champion", expected=2)
    assert registry.set_alias("aliased/2", "champion", expected=1).version_number == 2
    assert [alias.name.rpartition("/")[2] for alias in registry.list_aliases("aliased")] == ["champion"]
    registry.delete_alias("aliased", "champion")
    with pytest.raises(NotFound):
        registry.resolve("aliased@champion")


def test_versions_change_only_where_they_may(registry, file):
    made = registry.push("frozen", file, metrics={"auc": 0.5})
    assert registry.update_version("frozen/1", description="good", tags={"a": "b"}).description == "good"
    with pytest.raises((FailedPrecondition, InvalidArgument)):
        registry.update_version("frozen/1", algorithm="other")
    assert [v.name for v in registry.batch_get_versions(["frozen/1", made.location])] == [made.name] * 2
    assert registry.delete_version("frozen/1").HasField("delete_time")
    assert not registry.undelete_version("frozen/1").HasField("delete_time")
    draft = registry.create_version("frozen", task="x")
    with pytest.raises(FailedPrecondition) as empty:
        registry.finalize(draft.name)
    assert empty.value.reason == "VERSION_EMPTY"
    states = [v.state for v in registry.list_versions("frozen", states=["draft"])]
    assert states == [versions_pb2.VERSION_STATE_DRAFT]


def test_every_thread_reads_what_any_has_written(registry):
    def make(number):
        registry.create_model(f"thread-{number}")
        return registry.get_model(f"thread-{number}").name

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(make, range(24)))) == 24


def test_urls_are_signed_only_where_the_store_can(registry, file):
    registry.push("signed", file)
    with pytest.raises(FeatureDisabled):
        registry.sign_url("signed/1", "model.bin")


def test_who_may_not_come_in_is_told_why(server):
    with Registry(server.endpoint) as nobody, pytest.raises(Unauthenticated) as missing:
        nobody.server_info()
    assert missing.value.reason == "TOKEN_MISSING"
    with Registry(server.endpoint, token="mreg_" + "x" * 40) as wrong, pytest.raises(Unauthenticated) as invalid:
        wrong.server_info()
    assert invalid.value.reason == "TOKEN_INVALID"


def test_a_registry_that_is_not_there_is_unavailable_within_the_deadline():
    with Registry("127.0.0.1:1", token="t", timeout_s=3) as nowhere, pytest.raises(Unavailable):
        nowhere.get_model("fraud")


def test_a_closed_registry_connects_again(registry):
    uid = registry.server_info().registry_uid
    registry.close()
    assert registry.server_info().registry_uid == uid
    assert registry.server_info().caller == "user:admin"
