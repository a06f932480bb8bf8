import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.metadata import Format, Metadata, Metric
from registry_grpc.domain.names import ModelName, VersionName
from registry_grpc.domain.resources import StageDefinition, VersionState
from tests.contract.store.builders import (
    TIME,
    add_model,
    add_version,
    alias,
    at_once,
    change,
    model,
    move,
    project,
    put,
    version,
)

LABELS = {"clé": "valeur", "z": "1", "a": ""}


def refusal(work):
    with pytest.raises(RegistryError) as caught:
        work()
    return caught.value


def add_project(store, **values):
    def work(unit, revision):
        made = project(revision=revision, **values)
        unit.projects.insert(made)
        return made

    return change(store, work)


def get_version(store, of):
    return store.read(lambda reader: reader.versions.get(of.name))


def test_a_project_comes_back_as_it_was_written(store):
    stages = (
        StageDefinition("dev", initial=True),
        StageDefinition("prod", "Produktion", True, True, False, ("*",), "dev"),
    )
    made = add_project(
        store, project_id="p", stages=stages, display_name="P", description="x", tags=LABELS, annotations=LABELS
    )
    assert store.read(lambda reader: reader.projects.get("p")) == made
    assert store.write(lambda unit: unit.projects.lock("p")).get() == made
    changed = replace(made, stages=stages[:1], tags={}, revision=9)
    change(store, lambda unit, _: unit.projects.update(changed))
    assert store.read(lambda reader: reader.projects.get("p")) == changed


def test_projects_are_listed_by_id_in_both_directions(store):
    for name in ("b-1", "b.1", "b_1", "b1", "a"):
        add_project(store, project_id=name)

    def ids(**query):
        return store.read(lambda reader: [one.name.project for one in reader.projects.list(**query)])

    inorder = sorted(["default", "b-1", "b.1", "b_1", "b1", "a"])
    assert ids(after="", limit=9) == inorder
    assert ids(after=inorder[1], limit=2) == inorder[2:4]
    assert ids(after="", limit=9, descending=True) == inorder[::-1]
    assert ids(after=inorder[2], limit=9, descending=True) == inorder[1::-1]


def test_absent_things_are_named_as_precisely_as_they_are_absent(store):
    made = add_model(store)
    gone = refusal(lambda: store.read(lambda reader: reader.projects.get("q")))
    assert (gone.reason, gone.facts) == (Reason.PROJECT_NOT_FOUND, {"resource": "projects/q"})
    for name, reason in (
        (ModelName("q", "m"), Reason.PROJECT_NOT_FOUND),
        (ModelName("default", "x"), Reason.MODEL_NOT_FOUND),
    ):
        assert refusal(lambda name=name: store.read(lambda reader: reader.models.get(name))).reason is reason
        assert refusal(lambda name=name: store.write(lambda unit: unit.models.lock(name))).reason is reason
    for name, reason in (
        (VersionName("q", "m", 1), Reason.PROJECT_NOT_FOUND),
        (VersionName("default", "x", 1), Reason.MODEL_NOT_FOUND),
        (made.name.version(1), Reason.VERSION_NOT_FOUND),
    ):
        assert refusal(lambda name=name: store.read(lambda reader: reader.versions.get(name))).reason is reason


def test_taken_ids_are_refused_and_a_deleted_holder_is_named(store):
    add_project(store, project_id="p")
    taken = refusal(lambda: add_project(store, project_id="p"))
    assert (taken.reason, taken.facts) == (Reason.RESOURCE_EXISTS, {"resource": "projects/p"})
    made = add_model(store)
    taken = refusal(lambda: add_model(store))
    assert (taken.reason, taken.facts) == (Reason.RESOURCE_EXISTS, {"resource": str(made.name)})
    change(store, lambda unit, _: unit.models.update(replace(made, delete_time=TIME)))
    assert refusal(lambda: add_model(store)).facts == {"resource": str(made.name), "softDeleted": "true"}


def test_of_many_who_create_the_same_model_one_succeeds(store):
    done = at_once(16, lambda _: add_model(store))
    refused = [one for one in done if isinstance(one, RegistryError)]
    assert len(refused) == 15
    assert {one.reason for one in refused} == {Reason.RESOURCE_EXISTS}
    assert store.read(lambda reader: reader.feed.head()) == 2


def test_a_model_comes_back_as_it_was_written(store):
    made = add_model(
        store, display_name="M", description="d", owner="team", tags=LABELS, annotations=LABELS, creator="user:ada"
    )
    assert store.read(lambda reader: reader.models.get(made.name)) == made
    changed = replace(made, tags={}, delete_time=TIME, purge_time=TIME + timedelta(days=30), revision=9)
    change(store, lambda unit, _: unit.models.update(changed))
    assert store.read(lambda reader: reader.models.get(made.name)) == changed


def test_models_are_listed_by_id_without_deleted_ones_unless_asked(store):
    made = {name: add_model(store, name) for name in ("a", "b", "c.1", "c-1")}
    change(store, lambda unit, _: unit.models.update(replace(made["b"], delete_time=TIME)))

    def ids(**query):
        found = store.read(lambda reader: reader.models.list("default", **query))
        return [one.name.model for one in found]

    assert ids(after="", limit=9) == ["a", "c-1", "c.1"]
    assert ids(after="a", limit=2, show_deleted=True) == ["b", "c-1"]
    assert ids(after="", limit=2, descending=True) == ["c.1", "c-1"]
    assert ids(after="c-1", limit=9, descending=True, show_deleted=True) == ["b", "a"]


def test_replacing_a_row_that_is_not_there_is_a_mistake_that_shows(store):
    with pytest.raises(LookupError):
        change(store, lambda unit, _: unit.models.update(model("x")))


def test_a_version_comes_back_as_it_was_written_with_its_aliases_sorted(store):
    made = add_model(store)
    metadata = Metadata(task="t", metrics=(Metric("auc", 0.1 + 0.2), Metric("inf", float("inf"))))
    draft = add_version(
        store,
        made,
        state=VersionState.DEPRECATED,
        version_label="1.0.0",
        owner="o",
        description="d",
        model_card="# m\x00"[:3],
        tags=LABELS,
        annotations=LABELS,
        metadata=metadata,
        formats=(Format("onnx", False, "a.onnx", 1),),
        file_count=2,
        total_size_bytes=1 << 60,
        manifest_digest="sha256:" + "a" * 64,
        creator="user:ada",
        finalize_time=TIME,
        expire_time=TIME,
        delete_time=TIME,
        purge_time=TIME,
    )
    assert get_version(store, draft) == draft
    put(store, alias(made, "zeta", draft), alias(made, "alpha", draft))
    assert get_version(store, draft).aliases == ("alpha", "zeta")
    changed = replace(draft, aliases=("ignored",), state=VersionState.YANKED, expire_time=None, revision=99)
    change(store, lambda unit, _: unit.versions.update(changed))
    assert get_version(store, draft) == replace(changed, aliases=("alpha", "zeta"))


def test_find_returns_the_versions_that_exist(store):
    made = add_model(store)
    versions = [add_version(store, made) for _ in range(3)]
    wanted = [one.name for one in versions[:2]] + [made.name.version(9), VersionName("q", "m", 1)]
    found = store.read(lambda reader: reader.versions.find(wanted))
    assert sorted(found, key=lambda one: one.name) == versions[:2]
    assert store.read(lambda reader: reader.versions.find([])) == []


def test_versions_are_listed_by_number_and_filtered(store):
    made = add_model(store)
    for number in range(1, 6):
        state = VersionState.READY if number % 2 else VersionState.DRAFT
        add_version(
            store, made, state=state, stage="staging" if number > 3 else "", delete_time=TIME if number == 5 else None
        )

    def numbers(**query):
        found = store.read(lambda reader: reader.versions.list(made.uid, **query))
        return [one.name.number for one in found]

    assert numbers(after=0, limit=9) == [4, 3, 2, 1]
    assert numbers(after=0, limit=2, show_deleted=True) == [5, 4]
    assert numbers(after=4, limit=2) == [3, 2]
    assert numbers(after=2, limit=9, descending=False) == [3, 4]
    assert numbers(after=0, limit=9, states=[VersionState.READY]) == [3, 1]
    assert numbers(after=0, limit=9, states=[VersionState.READY, VersionState.DRAFT]) == [4, 3, 2, 1]
    assert numbers(after=0, limit=9, stage="staging", show_deleted=True) == [5, 4]


def test_a_label_is_unique_in_its_model(store):
    made, other = add_model(store), add_model(store, "other")
    first = add_version(store, made, version_label="1.0")
    second = add_version(store, made)
    add_version(store, made)
    add_version(store, other, version_label="1.0")
    taken = refusal(lambda: add_version(store, made, version_label="1.0"))
    assert (taken.reason, taken.facts["resource"]) == (Reason.RESOURCE_EXISTS, str(first.name))
    labelled = replace(second, version_label="1.0")
    assert (
        refusal(lambda: change(store, lambda unit, _: unit.versions.update(labelled))).reason is Reason.RESOURCE_EXISTS
    )
    change(store, lambda unit, _: unit.versions.update(first))


def test_numbers_are_counted_in_each_model_and_only_where_there_is_one(store):
    made, other = add_model(store), add_model(store, "other")
    assert [add_version(store, made).name.number for _ in range(3)] == [1, 2, 3]
    numbered = store.write(lambda unit: unit.models.number_version(other.name)).get()
    assert numbered == (other.uid, 1, False)
    change(store, lambda unit, _: unit.models.update(replace(other, delete_time=TIME)))
    assert store.write(lambda unit: unit.models.number_version(other.name)).get() == (other.uid, 2, True)
    for name, reason in [
        (ModelName("default", "absent"), Reason.MODEL_NOT_FOUND),
        (ModelName("absent", "m"), Reason.PROJECT_NOT_FOUND),
    ]:
        assert refusal(lambda name=name: store.write(lambda unit: unit.models.number_version(name))).reason is reason


def test_numbers_are_not_taken_by_a_write_that_failed(store):
    made = add_model(store)

    def fail(unit):
        unit.models.number_version(made.name)
        raise LookupError

    with pytest.raises(LookupError):
        store.write(fail)
    assert add_version(store, made).name.number == 1


def test_the_newest_ready_version_is_neither_draft_nor_deleted(store):
    made = add_model(store)
    assert store.read(lambda reader: reader.versions.newest_ready(made.uid)) is None
    ready = add_version(store, made, state=VersionState.READY)
    add_version(store, made, state=VersionState.READY, delete_time=TIME)
    add_version(store, made)
    assert store.read(lambda reader: reader.versions.newest_ready(made.uid)) == ready


def test_a_version_is_found_by_its_digest_and_the_highest_number_wins(store):
    made, digest = add_model(store), "sha256:" + "d" * 64
    add_version(store, made, manifest_digest=digest)
    second = add_version(store, made, manifest_digest=digest)
    add_version(store, made, manifest_digest=digest, delete_time=TIME)
    add_version(store, add_model(store, "other"), manifest_digest=digest)

    def find(wanted):
        return store.read(lambda reader: reader.versions.by_manifest_digest(made.uid, wanted))

    assert find(digest) == second
    assert find("sha256:" + "e" * 64) is None
    assert find("") is None


def test_the_newest_holder_is_the_one_that_came_last(store):
    made = add_model(store)
    first, second, third = (add_version(store, made, state=VersionState.READY) for _ in range(3))
    assert store.read(lambda reader: reader.versions.newest_holder(made.uid, "staging")) is None
    move(store, second, "staging")
    late = move(store, first, "staging")
    move(store, third, "archived")

    def newest():
        return store.read(lambda reader: reader.versions.newest_holder(made.uid, "staging"))

    assert newest() == late
    change(store, lambda unit, _: unit.versions.update(replace(late, delete_time=TIME)))
    assert newest().name == second.name


def test_an_exclusive_stage_has_one_holder_whatever_the_use_case_thinks(store):
    made = add_model(store)
    first, second = (add_version(store, made, state=VersionState.READY) for _ in range(2))
    held = move(store, first, "production")
    assert refusal(lambda: move(store, second, "production")).reason is Reason.TRANSACTION_CONFLICT
    change(store, lambda unit, _: unit.versions.update(replace(held, delete_time=TIME)))
    move(store, second, "production")
    move(store, add_version(store, add_model(store, "other")), "production")


def test_a_stage_that_becomes_exclusive_is_so_for_its_holders_and_for_newcomers(store):
    made = add_model(store)
    first, second, third = (add_version(store, made, state=VersionState.READY) for _ in range(3))
    move(store, first, "staging")
    second = move(store, second, "staging")

    def make_exclusive(unit, revision):
        before = unit.projects.lock("default")
        stages = tuple(replace(one, exclusive=one.exclusive or one.id == "staging") for one in before.stages)
        unit.projects.update(replace(before, stages=stages, revision=revision))
        unit.versions.set_stage_exclusive("default", "staging", exclusive=True)

    assert refusal(lambda: change(store, make_exclusive)).reason is Reason.TRANSACTION_CONFLICT
    move(store, second, "archived")
    change(store, make_exclusive)
    assert refusal(lambda: move(store, third, "staging")).reason is Reason.TRANSACTION_CONFLICT


def test_stages_in_use_and_held_more_than_once_are_known(store):
    made, other = add_model(store), add_model(store, "other")
    versions = [add_version(store, one, state=VersionState.READY) for one in (made, made, other, other)]
    move(store, versions[0], "staging")
    move(store, versions[2], "staging")
    held = move(store, versions[3], "production")
    in_use = store.read(lambda reader: dict(reader.versions.stages_in_use("default")))
    assert in_use.keys() == {"staging", "production"}
    assert in_use["production"] == held.name
    assert store.read(lambda reader: list(reader.versions.multiply_held("default"))) == []
    move(store, versions[1], "staging")
    assert store.read(lambda reader: reader.versions.multiply_held("default")) == [("staging", made.name)]
    assert store.read(lambda reader: reader.versions.stages_in_use("q")) == []


def test_drafts_expire_by_the_stores_clock(store):
    made = add_model(store)
    later = store.now() + timedelta(hours=1)
    draft = add_version(store, made, expire_time=later)
    add_version(store, made, expire_time=later, delete_time=TIME)
    add_version(store, made, expire_time=later, state=VersionState.READY)
    add_version(store, made)
    assert store.read(lambda reader: reader.versions.expired_drafts(9)) == []
    store.clock_offset = timedelta(hours=1, seconds=1)
    assert store.read(lambda reader: reader.versions.expired_drafts(9)) == [draft]


def test_a_project_that_a_writer_has_read_waits_for_it_with_its_changes(store):
    """No version can enter a stage while that stage is being taken away."""
    order, reading, changing = [], threading.Event(), threading.Event()

    def promote(unit):
        unit.projects.get("default")
        reading.set()
        changing.wait(0.3)
        order.append("promoted")

    def change_project(_):
        reading.wait()

        def work(unit):
            unit.projects.lock("default")
            changing.set()
            order.append("changed")

        store.write(work)

    at_once(2, lambda number: change_project(number) if number else store.write(promote))
    assert order == ["promoted", "changed"]


def test_version_of_a_missing_model_cannot_be_written(store):
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        change(store, lambda unit, _: unit.versions.insert(version(model(), 1)))
