"""Deletion of projects, purge, quotas and copies, over RPCs of real servers of both deployments."""

import hashlib
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.v1 import artifacts_pb2, common_pb2, models_pb2, projects_pb2, stages_pb2, versions_pb2
from tests.kit.catalogue import Catalogue, request_id
from tests.kit.deployments import two_replicas
from tests.kit.uploads import DEPLOYMENTS, Refusal, deployed, outcome, refused
from tests.kit.waiting import until


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def api(request, service_environment):
    with deployed(request.param, service_environment) as server:
        yield server.api()


@pytest.fixture
def catalogue(api):
    return Catalogue(api)


def usage(catalogue):
    return catalogue.api.projects.GetProjectUsage(projects_pb2.GetProjectUsageRequest(name=catalogue.parent))


def delete(catalogue, **fields):
    return catalogue.api.projects.DeleteProject(projects_pb2.DeleteProjectRequest(name=catalogue.parent, **fields))


def undelete(catalogue, **fields):
    return catalogue.api.projects.UndeleteProject(projects_pb2.UndeleteProjectRequest(name=catalogue.parent, **fields))


def purge(catalogue, **fields):
    return catalogue.api.projects.PurgeProject(projects_pb2.PurgeProjectRequest(name=catalogue.parent, **fields))


def get(catalogue):
    return catalogue.api.projects.GetProject(projects_pb2.GetProjectRequest(name=catalogue.parent))


def limit(catalogue, **quotas):
    return update(catalogue, quotas=projects_pb2.Quotas(**quotas))


def update(catalogue, **fields):
    request = projects_pb2.UpdateProjectRequest(
        project=projects_pb2.Project(name=catalogue.parent, **fields), update_mask=FieldMask(paths=sorted(fields))
    )
    return catalogue.api.projects.UpdateProject(request)


def copy(catalogue, parent, source, **fields):
    return catalogue.api.models.CopyVersion(versions_pb2.CopyVersionRequest(parent=parent, source=source, **fields))


def listed(catalogue, **fields):
    request = projects_pb2.ListProjectsRequest(page_size=1000, **fields)
    return {project.name for project in catalogue.api.projects.ListProjects(request).projects}


def digest_of(content):
    return common_pb2.Digest(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def read(catalogue, version):
    file = catalogue.api.artifacts.ListArtifacts(artifacts_pb2.ListArtifactsRequest(parent=version)).artifacts[0]
    chunks = catalogue.api.artifacts.ReadArtifact(artifacts_pb2.ReadArtifactRequest(name=file.name))
    return b"".join(reply.chunk.content for reply in chunks)


def test_a_deleted_project_answers_as_absent_and_comes_back_as_it_was(catalogue):
    model = catalogue.model()
    version = catalogue.ready(model)
    assert catalogue.resolve(model, stage="development").version == version.name
    assert refused(lambda: delete(catalogue)).reason == "HAS_CHILDREN"

    gone = delete(catalogue, force=True)
    assert gone.HasField("delete_time")
    assert gone.purge_time.ToDatetime() - gone.delete_time.ToDatetime() == timedelta(days=30)
    api = catalogue.api
    for call in (
        lambda: catalogue.resolve(model, stage="development"),
        lambda: catalogue.resolve(model, alias="latest"),
        lambda: api.models.GetModel(models_pb2.GetModelRequest(name=model)),
        lambda: catalogue.version(version.name),
        lambda: api.models.ListModels(models_pb2.ListModelsRequest(parent=catalogue.parent)),
        lambda: catalogue.versions(model),
        lambda: catalogue.draft(model),
        catalogue.model,
        lambda: catalogue.update(version.name, "description", description="x"),
        lambda: catalogue.promote(version.name, "staging"),
        lambda: api.artifacts.ListArtifacts(artifacts_pb2.ListArtifactsRequest(parent=version.name)),
        lambda: usage(catalogue),
        lambda: api.stages.ListStages(stages_pb2.ListStagesRequest(parent=model)),
        lambda: catalogue.history(model),
    ):
        assert refused(call).reason == "PROJECT_NOT_FOUND"
    assert refused(lambda: update(catalogue, description="x")).reason == "PROJECT_DELETED"
    assert get(catalogue).etag == gone.etag
    assert catalogue.parent not in listed(catalogue)
    assert catalogue.parent in listed(catalogue, show_deleted=True)
    taken = refused(
        lambda: api.projects.CreateProject(
            projects_pb2.CreateProjectRequest(project_id=catalogue.parent.removeprefix("projects/"))
        )
    )
    assert (taken.reason, taken.facts["softDeleted"]) == ("RESOURCE_EXISTS", "true")
    assert delete(catalogue) == gone

    back = undelete(catalogue)
    assert not back.HasField("delete_time")
    assert catalogue.resolve(model, stage="development").version == version.name
    assert catalogue.version(version.name) == version
    assert (usage(catalogue).models, usage(catalogue).versions) == (1, 1)
    assert refused(lambda: undelete(catalogue)).reason == "RESOURCE_EXISTS"


@pytest.mark.promise("P14", "held versions")
def test_what_a_stage_or_an_alias_points_to_is_not_deleted_and_every_holder_is_named(catalogue):
    model = catalogue.model()
    version = catalogue.ready(model)
    catalogue.bring(version.name, "production")
    catalogue.alias(model, champion=1, shadow=1)
    holders = f"{model}/aliases/champion, {model}/aliases/shadow, {model}/stages/production"
    before = catalogue.revision()
    for call in (
        lambda: catalogue.delete(version.name),
        lambda: catalogue.delete_model(model, force=True),
        lambda: delete(catalogue, force=True),
    ):
        kept = refused(call)
        assert (kept.code, kept.reason, kept.facts["holders"]) == ("FAILED_PRECONDITION", "VERSION_IN_USE", holders)
    assert catalogue.revision() == before
    assert catalogue.holder(model) == 1


def test_a_project_with_held_versions_is_not_deleted_and_the_holders_are_named(catalogue):
    model = catalogue.model()
    version = catalogue.ready(model)
    catalogue.bring(version.name, "staging")
    catalogue.alias(model, champion=1)
    kept = refused(lambda: delete(catalogue, force=True))
    assert (kept.code, kept.reason) == ("FAILED_PRECONDITION", "VERSION_IN_USE")
    assert kept.facts["holders"] == f"{model}/aliases/champion, {model}/stages/staging"
    catalogue.unalias(model, "champion")
    catalogue.vacate(model, "staging")
    assert delete(catalogue, force=True).HasField("delete_time")


def test_the_default_project_stays(api):
    kept = refused(lambda: delete(Catalogue(api, "default"), force=True))
    assert (kept.code, kept.reason) == ("FAILED_PRECONDITION", "PROJECT_PROTECTED")


def test_only_what_is_deleted_is_purged_and_then_it_is_gone(catalogue):
    model = catalogue.model()
    first, second = catalogue.readies(model, 2)
    api = catalogue.api
    request = versions_pb2.PurgeVersionRequest(name=first.name)
    assert refused(lambda: api.models.PurgeVersion(request)).reason == "NOT_DELETED"
    assert refused(lambda: purge(catalogue)).reason == "NOT_DELETED"
    assert refused(lambda: api.models.PurgeModel(models_pb2.PurgeModelRequest(name=model))).reason == "NOT_DELETED"

    before = usage(catalogue).stored_bytes
    catalogue.delete(first.name)
    assert (usage(catalogue).stored_bytes, usage(catalogue).versions) == (before, 1)
    api.models.PurgeVersion(request)
    assert usage(catalogue).stored_bytes == before - first.total_size_bytes
    assert refused(lambda: catalogue.version(first.name)).reason == "VERSION_NOT_FOUND"
    assert refused(lambda: catalogue.undelete(first.name)).reason == "VERSION_NOT_FOUND"
    # History still tells, numbers stay taken, rolling back steps over what is gone.
    assert first.name in {row.version for row in catalogue.history(model)}
    assert catalogue.ready(model).number == 3
    catalogue.bring(second.name, "production")
    assert refused(lambda: catalogue.rollback(model)).reason == "NO_ROLLBACK_TARGET"


def test_a_purged_model_leaves_its_id_to_another_one_that_nothing_of_it_fits(catalogue):
    old = catalogue.api.models.GetModel(models_pb2.GetModelRequest(name=catalogue.model("m")))
    catalogue.ready(old.name, b"bytes of the old one")
    deleted = catalogue.delete_model(old.name, force=True)
    again = request_id()
    request = models_pb2.PurgeModelRequest(name=old.name, etag=deleted.etag, request_id=again)
    stale = models_pb2.PurgeModelRequest(name=old.name, etag=old.etag)
    assert refused(lambda: catalogue.api.models.PurgeModel(stale)).reason == "ETAG_MISMATCH"
    check = models_pb2.PurgeModelRequest(name=old.name, etag=deleted.etag, validate_only=True)
    catalogue.api.models.PurgeModel(check)
    catalogue.api.models.PurgeModel(request)
    assert refused(lambda: catalogue.undelete_model(old.name)).reason == "MODEL_NOT_FOUND"

    new = catalogue.api.models.GetModel(models_pb2.GetModelRequest(name=catalogue.model("m")))
    assert new.uid != old.uid
    # The retry of the old call gets its answer, and does nothing to the new model.
    catalogue.api.models.PurgeModel(request)
    assert catalogue.ready(new.name).number == 1
    assert refused(lambda: catalogue.delete_model(new.name, etag=deleted.etag)).reason == "ETAG_MISMATCH"


def test_a_purged_project_is_gone_with_all_in_it_and_its_id_is_free(catalogue):
    model = catalogue.model()
    version = catalogue.ready(model, b"kept by nobody")
    catalogue.draft(model)
    catalogue.bring(version.name, "staging")
    catalogue.vacate(model, "staging")
    old = get(catalogue)
    delete(catalogue, force=True)
    again = request_id()
    purge(catalogue, request_id=again)
    assert refused(lambda: get(catalogue)).reason == "PROJECT_NOT_FOUND"
    assert refused(lambda: undelete(catalogue)).reason == "PROJECT_NOT_FOUND"

    project_id = catalogue.parent.removeprefix("projects/")
    made = catalogue.api.projects.CreateProject(projects_pb2.CreateProjectRequest(project_id=project_id))
    assert made.uid != old.uid
    purge(catalogue, request_id=again)
    assert get(catalogue).uid == made.uid
    assert usage(catalogue).stored_bytes == 0
    # Not even the bytes of the old one are there to be attached.
    digest = digest_of(b"kept by nobody")
    missing = catalogue.api.artifacts.FindMissingArtifacts(
        artifacts_pb2.FindMissingArtifactsRequest(parent=catalogue.parent, digests=[digest])
    )
    assert list(missing.missing) == [digest]
    assert refused(lambda: catalogue.resolve(model, stage="development")).reason == "MODEL_NOT_FOUND"


def test_nothing_comes_back_after_its_time(catalogue):
    update(catalogue, retention=projects_pb2.Retention(undelete_window=Duration()))
    model = catalogue.model()
    version, kept = catalogue.readies(model, 2)
    catalogue.delete(version.name)
    assert refused(lambda: catalogue.undelete(version.name)).reason == "VERSION_NOT_FOUND"
    catalogue.delete_model(model, force=True)
    assert refused(lambda: catalogue.undelete_model(model)).reason == "MODEL_NOT_FOUND"
    delete(catalogue, force=True)
    assert refused(lambda: undelete(catalogue)).reason == "PROJECT_NOT_FOUND"
    assert kept.number == 2


def test_a_draft_rests_as_long_as_its_project_says(catalogue):
    update(catalogue, retention=projects_pb2.Retention(draft=Duration(seconds=7200)))
    draft = catalogue.draft(catalogue.model())
    assert draft.expire_time.ToDatetime() - draft.create_time.ToDatetime() == timedelta(hours=2)
    catalogue.upload(draft.name, "a.bin", b"a")
    after = catalogue.version(draft.name)
    assert timedelta(0) <= after.expire_time.ToDatetime() - after.update_time.ToDatetime() <= timedelta(hours=2)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"retention": projects_pb2.Retention(draft=Duration(seconds=60))}, "project.retention.draft"),
        (
            {"retention": projects_pb2.Retention(undelete_window=Duration(seconds=-1))},
            "project.retention.undelete_window",
        ),
        ({"quotas": projects_pb2.Quotas(max_models=-1)}, "project.quotas.max_models"),
    ],
)
def test_limits_out_of_range_are_refused(catalogue, fields, where):
    wrong = refused(lambda: update(catalogue, **fields))
    assert (wrong.code, wrong.reason, wrong.fields) == ("INVALID_ARGUMENT", "INVALID_FIELD", (where,))


def test_each_quota_is_enforced_and_usage_says_what_is_used(catalogue):
    limit(catalogue, max_models=1, max_versions=2, max_stored_bytes=100, max_open_uploads=1)
    model = catalogue.model()
    over = refused(catalogue.model)
    assert (over.code, over.reason, over.facts["quota"]) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "models")
    draft, other = catalogue.draft(model), catalogue.draft(model)
    assert refused(lambda: catalogue.draft(model)).facts["quota"] == "versions"

    def start(size, path="a"):
        request = artifacts_pb2.StartUploadRequest(parent=draft.name, path=path, size_bytes=size)
        return catalogue.api.artifacts.StartUpload(request)

    assert refused(lambda: start(101)).facts == {
        "resource": catalogue.parent,
        "quota": "stored_bytes",
        "used": "0",
        "asked": "101",
        "limit": "100",
    }
    # A declared 100 TiB, too.
    assert refused(lambda: start(100 << 40)).code in {"RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"}
    upload = start(60)
    now = usage(catalogue)
    assert (now.reserved_bytes, now.open_uploads, now.stored_bytes) == (60, 1, 0)
    assert refused(lambda: start(1, "b")).facts["quota"] == "open_uploads"
    catalogue.api.artifacts.CancelUpload(artifacts_pb2.CancelUploadRequest(name=upload.name))
    assert usage(catalogue).reserved_bytes == usage(catalogue).open_uploads == 0
    catalogue.upload(draft.name, "a", b"x" * 100)
    now = usage(catalogue)
    assert (now.reserved_bytes, now.open_uploads, now.stored_bytes, now.quotas.max_stored_bytes) == (0, 0, 100, 100)
    assert refused(lambda: start(1, "b")).facts["used"] == "100"
    # The same bytes once more cost nothing.
    catalogue.api.artifacts.AttachArtifacts(
        artifacts_pb2.AttachArtifactsRequest(
            parent=other.name,
            attachments=[artifacts_pb2.ArtifactAttachment(path="a", digest=digest_of(b"x" * 100))],
        )
    )
    assert usage(catalogue).stored_bytes == 100
    # A limit below what is used keeps what is there, and lets nothing new in.
    limit(catalogue, max_versions=1)
    assert refused(lambda: catalogue.draft(model)).facts["quota"] == "versions"
    catalogue.delete(other.name)
    assert usage(catalogue).versions == 1
    assert refused(lambda: catalogue.undelete(other.name)).reason == "QUOTA_EXCEEDED"


def test_a_copy_into_another_project_has_content_and_lineage_and_costs_no_second_object(catalogue):
    source_model = catalogue.model()
    source = catalogue.ready(
        source_model, b"the very bytes", description="d", model_card="card", owner="o", tags={"a": "b"}
    )
    catalogue.alias(source_model, champion=1)
    prod = Catalogue(catalogue.api)
    parent = prod.model()
    again = request_id()
    made = copy(prod, parent, source.name, version_label="1.0", request_id=again)
    assert copy(prod, parent, source.name, version_label="1.0", request_id=again) == made
    assert made.copied_from == source.name
    assert (made.state, made.stage, made.number) == (versions_pb2.VERSION_STATE_READY, "development", 1)
    assert (made.manifest_digest, made.formats, made.file_count) == (
        source.manifest_digest,
        source.formats,
        source.file_count,
    )
    assert (made.description, made.model_card, made.version_label) == ("d", "card", "1.0")
    assert not made.tags
    assert not made.owner
    assert not made.aliases
    assert read(prod, made.name) == b"the very bytes"
    assert usage(prod).stored_bytes == source.total_size_bytes
    assert prod.resolve(parent, alias="latest").version == made.name
    # Neither needs the other: what the source loses, the copy keeps.
    catalogue.unalias(source_model, "champion")
    delete(catalogue, force=True)
    purge(catalogue)
    assert read(prod, made.name) == b"the very bytes"
    assert prod.version(made.name).copied_from == source.name


def test_what_cannot_be_copied_says_why(catalogue):
    model = catalogue.model()
    draft, source = catalogue.draft(model), catalogue.ready(model)
    prod = Catalogue(catalogue.api)
    parent = prod.model()
    assert refused(lambda: copy(prod, parent, draft.name)).reason == "VERSION_STATE"
    assert refused(lambda: copy(prod, f"{parent}-x", source.name)).reason == "MODEL_NOT_FOUND"
    assert refused(lambda: copy(prod, parent, f"{model}/versions/99")).reason == "VERSION_NOT_FOUND"
    limit(prod, max_stored_bytes=1)
    assert refused(lambda: copy(prod, parent, source.name)).reason == "QUOTA_EXCEEDED"
    limit(prod, max_stored_bytes=0)
    assert copy(prod, parent, source.name, validate_only=True).number == 1
    assert prod.versions(parent) == []
    catalogue.delete(source.name)
    assert refused(lambda: copy(prod, parent, source.name)).reason == "VERSION_NOT_FOUND"


def test_a_copy_beside_its_source_shares_the_blob(catalogue):
    model = catalogue.model()
    source = catalogue.ready(model)
    made = copy(catalogue, model, source.name)
    assert made.number == 2
    assert usage(catalogue).stored_bytes == source.total_size_bytes
    catalogue.delete(source.name)
    catalogue.api.models.PurgeVersion(versions_pb2.PurgeVersionRequest(name=source.name))
    assert read(catalogue, made.name)
    assert usage(catalogue).stored_bytes == source.total_size_bytes


def test_an_open_upload_of_a_deleted_project_goes_nowhere(catalogue):
    draft = catalogue.draft(catalogue.model())
    start = artifacts_pb2.StartUploadRequest(parent=draft.name, path="a", size_bytes=3)
    upload = catalogue.api.artifacts.StartUpload(start)
    delete(catalogue, force=True)
    api = catalogue.api
    for call in (
        lambda: api.artifacts.GetUpload(artifacts_pb2.GetUploadRequest(name=upload.name)),
        lambda: api.artifacts.CancelUpload(artifacts_pb2.CancelUploadRequest(name=upload.name)),
        lambda: api.artifacts.WriteUpload(iter([artifacts_pb2.WriteUploadRequest(name=upload.name)])),
    ):
        assert refused(call).reason in {"PROJECT_NOT_FOUND", "UPLOAD_NOT_FOUND"}
    purge(catalogue)


def test_other_replicas_forget_a_deleted_project_and_learn_it_again(service_environment):
    with two_replicas(service_environment) as (one, other):
        here = Catalogue(one.api())
        there = here.on(other.api(one.token))
        model = here.model()
        here.ready(model)
        until(lambda: there.resolve(model, stage="development").version_number == 1, within_s=10)
        delete(here, force=True)
        until(
            lambda: (
                getattr(outcome(lambda: there.resolve(model, stage="development")), "reason", "") == "PROJECT_NOT_FOUND"
            ),
            within_s=10,
        )
        undelete(here)
        until(
            lambda: getattr(outcome(lambda: there.resolve(model, stage="development")), "version_number", 0) == 1,
            within_s=10,
        )


def test_the_leader_purges_what_is_past_its_time(service_environment):
    with deployed("embedded", service_environment) as server:
        here = Catalogue(server.api())
        model = here.model()
        version = here.ready(model)
        update(here, retention=projects_pb2.Retention(undelete_window=Duration()))
        here.delete(version.name)
        gone = Catalogue(server.api())
        gone.ready(gone.model())
        update(gone, retention=projects_pb2.Retention(undelete_window=Duration()))
        delete(gone, force=True)
        server.kill()
        server.start()  # whose leader does its jobs at once
        here = here.on(server.api())
        until(lambda: isinstance(outcome(lambda: here.version(version.name)), Refusal), within_s=90)
        until(lambda: gone.parent not in listed(here, show_deleted=True), within_s=90)
        until(lambda: usage(here).stored_bytes == 0, within_s=10)
