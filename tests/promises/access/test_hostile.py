"""P10, hostile inputs 30 to 32 and 66: changes without the permission, names and ids of others, bytes of others."""

import contextlib
import hashlib
import sqlite3
import time

import grpc
import pytest

from registry_grpc.auth.permissions import RULES, Where
from registry_grpc.v1 import access_pb2, common_pb2, models_pb2, projects_pb2, versions_pb2
from registry_grpc.v1 import artifacts_pb2 as pb
from tests.kit.access import Office
from tests.kit.refusals import refused
from tests.kit.server import running
from tests.kit.uploads import Content, Registry, stream
from tests.kit.waiting import metric, until
from tests.promises.access.requests import Place, example, make, methods


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def office(server):
    office = Office(server)
    yield office
    office.close()


@pytest.fixture
def registry(server):
    return Registry.of(server)


def entries(server, actor):
    """Method and outcome of the audit entries of refused calls of that caller."""
    with contextlib.closing(sqlite3.connect(server.data_dir / "registry.db")) as connection:
        query = "SELECT method, outcome, resource, revision FROM audit WHERE actor = ? ORDER BY audit_index"
        return connection.execute(query, (actor,)).fetchall()


@pytest.mark.promise("P10", "denied")
def test_each_change_a_viewer_tries_is_refused_and_leaves_an_audit_entry(server, office, registry):
    project = registry.project()
    who = office.bound("viewer", project)
    channel = server.channel(who.secret)
    at = Place(project.removeprefix("projects/"))
    tried = []
    for method in methods():
        rule = RULES[method.path]
        if not rule.mutates or any(need.where is Where.CALLER for need in rule.needs):
            continue
        with pytest.raises(grpc.RpcError) as caught:
            make(channel, method, example(method, at))
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED, method.path
        tried.append(".".join(method.path.rpartition(".")[2].split("/")))
        time.sleep(0.02)  # a hundred a second are recorded

    assert len(tried) > 25
    until(lambda: len(entries(server, who.principal)) == len(tried), 10)
    found = entries(server, who.principal)
    assert [method for method, *_ in found] == tried
    assert {(outcome, revision) for _, outcome, _, revision in found} == {("PERMISSION_MISSING", 0)}
    assert all(project in resource for method, _, resource, _ in found if method.startswith("ModelService"))
    with contextlib.closing(sqlite3.connect(server.data_dir / "registry.db")) as connection:
        indexes = [index for (index,) in connection.execute("SELECT audit_index FROM audit ORDER BY 1")]
    assert indexes == list(range(1, len(indexes) + 1))
    channel.close()


@pytest.mark.promise("P10", "denied")
def test_what_is_refused_by_the_thousand_does_not_fill_the_trail(server, office, registry):
    who = office.bound("viewer", registry.project())
    api = who.at(server)
    request = projects_pb2.CreateProjectRequest(project_id="mine")
    before = metric(server.metrics_port, "registry_audit_denials_dropped_total")
    began = time.monotonic()
    for _ in range(600):
        assert refused(api.projects.CreateProject, request).code == "PERMISSION_DENIED"
    seconds = time.monotonic() - began

    dropped = until(lambda: metric(server.metrics_port, "registry_audit_denials_dropped_total") - before, 10)
    most = 100 * (seconds + 3)
    until(lambda: len(entries(server, who.principal)) + dropped >= 600 or seconds > 6, 10)
    assert len(entries(server, who.principal)) <= most
    until(lambda: [outcome for _, outcome, *_ in entries(server, "system:registry") if "DROPPED" in outcome], 10)
    api.close()


@pytest.mark.promise("P10", "uploads")
def test_the_upload_of_somebody_else_does_not_exist(server, office, registry):
    project = registry.project()
    version = registry.draft(project)
    ada, bob = office.bound("contributor", project), office.bound("contributor", project)
    mine, theirs = ada.at(server).artifacts, bob.at(server).artifacts
    content = Content(1000)
    upload = mine.StartUpload(pb.StartUploadRequest(parent=version, path="a", size_bytes=1000))
    nowhere = f"{project}/uploads/00000000-0000-4000-8000-000000000000"

    for name in (upload.name, nowhere):
        for found in (
            refused(theirs.GetUpload, pb.GetUploadRequest(name=name)),
            refused(theirs.CancelUpload, pb.CancelUploadRequest(name=name)),
            refused(theirs.WriteUpload, stream(name, content), timeout=20),
        ):
            assert (found.code, found.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")
            assert found.facts == {"resource": name}
    assert list(theirs.ListUploads(pb.ListUploadsRequest(parent=version)).uploads) == []
    assert [u.name for u in mine.ListUploads(pb.ListUploadsRequest(parent=version)).uploads] == [upload.name]

    # Not even its writer was disturbed; and whoever administers the project sees it.
    assert mine.WriteUpload(stream(upload.name, content), timeout=20).state == pb.Upload.STATE_COMMITTED
    assert registry.upload(upload.name).name == upload.name
    admin = office.bound("admin", project).at(server).artifacts
    assert [u.name for u in admin.ListUploads(pb.ListUploadsRequest(parent=version)).uploads] == [upload.name]


@pytest.mark.promise("P10", "dedupe")
def test_no_project_learns_or_gets_what_another_one_holds(server, office, registry):
    rich, poor = registry.project(), registry.project()
    secret = Content(5000)
    registry.push(registry.draft(rich), "weights", secret)
    digest = common_pb2.Digest(sha256=secret.sha256, size_bytes=5000)
    unknown = common_pb2.Digest(sha256=hashlib.sha256(b"no such bytes").hexdigest(), size_bytes=5000)
    who = office.bound("contributor", poor)
    api = who.at(server)
    model = api.models.CreateModel(models_pb2.CreateModelRequest(parent=poor, model_id="m")).name
    draft = api.models.CreateVersion(versions_pb2.CreateVersionRequest(parent=model)).name

    find = pb.FindMissingArtifactsRequest(parent=poor, digests=[digest, unknown])
    assert list(api.artifacts.FindMissingArtifacts(find).missing) == [digest, unknown]
    for wanted in (digest, unknown):
        attach = pb.AttachArtifactsRequest(parent=draft, attachments=[pb.ArtifactAttachment(path="w", digest=wanted)])
        assert refused(api.artifacts.AttachArtifacts, attach).reason == "ARTIFACT_NOT_FOUND"
        start = pb.StartUploadRequest(parent=draft, path="w", size_bytes=5000, sha256=wanted.sha256)
        started = api.artifacts.StartUpload(start)
        assert (started.state, started.deduplicated) == (pb.Upload.STATE_ACTIVE, False)
    there = pb.FindMissingArtifactsRequest(parent=rich, digests=[digest])
    assert refused(api.artifacts.FindMissingArtifacts, there).reason == "PROJECT_NOT_FOUND"


@pytest.mark.promise("P10", "foreign")
def test_lists_show_what_a_caller_may_see_and_their_pages_fit(server, office, registry):
    projects = sorted(registry.project() for _ in range(3))
    models = []
    for at, project in enumerate(projects):
        for name in ("a", "b", "c"):
            request = models_pb2.CreateModelRequest(parent=project, model_id=f"{name}{at}")
            models.append(office.api.models.CreateModel(request).name)
    who = office.somebody()
    office.bind("viewer", projects[0], who.principal)
    office.bind("viewer", models[6], who.principal)
    office.bind("viewer", models[8], who.principal)
    api = who.at(server)

    def pages(method, request, field):
        found, token = [], ""
        while True:
            request.page_size, request.page_token = 1, token
            answer = method(request)
            found += [each.name for each in getattr(answer, field)]
            token = answer.next_page_token
            if not token:
                return found

    listed = pages(api.projects.ListProjects, projects_pb2.ListProjectsRequest(), "projects")
    assert listed == [projects[0], projects[2]]
    for order in ("name desc", "name"):
        request = projects_pb2.ListProjectsRequest(order_by=order)
        assert pages(api.projects.ListProjects, request, "projects") == sorted(listed, reverse=order != "name")
    for project, wanted in ((projects[0], models[:3]), (projects[2], [models[6], models[8]])):
        request = models_pb2.ListModelsRequest(parent=project)
        assert pages(api.models.ListModels, request, "models") == wanted
    foreign = models_pb2.ListModelsRequest(parent=projects[1])
    assert refused(api.models.ListModels, foreign).reason == "PROJECT_NOT_FOUND"
    everything = office.api.projects.ListProjects(projects_pb2.ListProjectsRequest(page_size=1000)).projects
    assert {project.name for project in everything} >= set(projects)


@pytest.mark.promise("P10", "matrix")
def test_nobody_gives_himself_more_than_he_has(server, office, registry):
    project, other = registry.project(), registry.project()
    admin = office.bound("admin", project)
    api = admin.at(server).access

    def bind(parent, role="admin"):
        binding = access_pb2.RoleBinding(role=f"roles/{role}", members=[admin.principal])
        return access_pb2.CreateRoleBindingRequest(parent=parent, role_binding=binding)

    assert api.CreateRoleBinding(bind(project)).name.startswith(project)
    assert refused(api.CreateRoleBinding, bind("")).code == "PERMISSION_DENIED"
    assert refused(api.CreateRoleBinding, bind(other)).reason == "PROJECT_NOT_FOUND"
    role = access_pb2.CreateRoleRequest(role_id="mine", role=access_pb2.Role(permissions=["projects.create"]))
    assert refused(api.CreateRole, role).code == "PERMISSION_DENIED"
    # A role with registry-wide permissions gives none of them in a project.
    office.api.access.CreateRole(role)
    api.CreateRoleBinding(bind(project, "mine"))
    create = projects_pb2.CreateProjectRequest(project_id="more")
    assert refused(admin.at(server).projects.CreateProject, create).code == "PERMISSION_DENIED"
    assert refused(api.IssueToken, access_pb2.IssueTokenRequest(principal="user:admin")).code == "PERMISSION_DENIED"
    account = access_pb2.CreateServiceAccountRequest(
        parent=project,
        service_account_id="cert",
        service_account=access_pb2.ServiceAccount(certificate_names=["dns:somebody.example"]),
    )
    refusal = refused(api.CreateServiceAccount, account)
    assert refusal.facts["permission"] == "serviceAccounts.setCertificateNames"
    # Whoever administers under a condition cannot bind himself without it.
    limited = office.somebody()
    office.bind("admin", project, limited.principal, condition=access_pb2.Condition(stages=["staging"]))
    assert refused(limited.at(server).access.CreateRoleBinding, bind(project)).code == "PERMISSION_DENIED"


@pytest.mark.promise("P10", "matrix")
def test_who_creates_something_may_do_no_more_with_it_than_the_role_says(server, office, registry):
    project = registry.project()
    who = office.bound("contributor", project)
    api = who.at(server)
    model = api.models.CreateModel(models_pb2.CreateModelRequest(parent=project, model_id="mine")).name
    assert refused(api.models.DeleteModel, models_pb2.DeleteModelRequest(name=model)).code == "PERMISSION_DENIED"
    maker = office.bound("viewer", "")
    office.api.access.CreateRole(
        access_pb2.CreateRoleRequest(
            role_id="founder", role=access_pb2.Role(permissions=["projects.create", "projects.get"])
        )
    )
    founder = office.bound("founder", "").at(server)
    made = founder.projects.CreateProject(projects_pb2.CreateProjectRequest(project_id="founded")).name
    update = projects_pb2.UpdateProjectRequest(project=projects_pb2.Project(name=made, description="x"))
    for each in (founder, maker.at(server)):
        assert refused(each.projects.UpdateProject, update).code == "PERMISSION_DENIED"
