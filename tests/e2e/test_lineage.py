"""Lineage on real servers: runs, links, walks, impact, what callers may see, and what is refused."""

import pytest

from registry_grpc.v1 import audit_pb2, events_pb2, evidence_pb2, metadata_pb2, projects_pb2, versions_pb2
from registry_grpc.v1 import deployments_pb2 as deployments
from registry_grpc.v1 import lineage_pb2 as pb
from tests.kit.access import Office
from tests.kit.catalogue import Catalogue, at_once, request_id
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.refusals import Refusal, attempt, refused

UP, DOWN = pb.LINEAGE_DIRECTION_UPSTREAM, pb.LINEAGE_DIRECTION_DOWNSTREAM


def node(kind, name, **said):
    return pb.LineageNode(type=f"LINEAGE_NODE_TYPE_{kind}", id=name, **said)


def data(name, **said):
    return node("DATASET_VERSION", name, **said)


def version(of):
    return node("MODEL_VERSION", getattr(of, "name", of))


def edge(downstream, upstream, relation=0):
    return pb.LineageEdge(downstream=downstream, upstream=upstream, relation=relation)


class Graph:
    """The graph of one project, over the wire."""

    def __init__(self, catalogue, api=None):
        self.catalogue = catalogue
        self.parent = catalogue.parent
        self.api = (api or catalogue.api).lineage

    def record(self, run_id="r", **fields):
        request = pb.RecordRunRequest(parent=self.parent, run_id=run_id, run=pb.Run(**{"system": "s"} | fields))
        return self.api.RecordRun(request)

    def link(self, *links, **fields):
        return self.api.LinkLineage(pb.LinkLineageRequest(parent=self.parent, links=links, **fields))

    def unlink(self, *links, **fields):
        return self.api.UnlinkLineage(pb.UnlinkLineageRequest(parent=self.parent, links=links, **fields))

    def get(self, start, direction=UP, **fields):
        return self.api.GetLineage(pb.GetLineageRequest(parent=self.parent, node=start, direction=direction, **fields))

    def names(self, start, direction=UP, **fields):
        found = []
        while True:
            page = self.get(start, direction, **fields)
            found += [step.node.id for step in page.steps]
            fields["page_token"] = page.next_page_token
            if not page.next_page_token:
                return found

    def deploy(self, of, **fields):
        given = {"environment": "prod", "workload": "api", "state": deployments.DEPLOYMENT_STATE_SERVING} | fields
        request = deployments.ReportDeploymentRequest(
            parent=self.parent, deployment=deployments.Deployment(version=of.name, **given)
        )
        return self.catalogue.api.deployments.ReportDeployment(request)


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request, service_environment):
    with deployed(request.param, service_environment) as server:
        yield server


@pytest.fixture
def catalogue(server):
    return Catalogue(server.api())


@pytest.fixture
def graph(catalogue):
    return Graph(catalogue)


@pytest.fixture
def office(server):
    office = Office(server)
    yield office
    office.close()


def test_a_two_stage_pipeline_from_its_source_to_what_runs(catalogue, graph):
    made = catalogue.ready(catalogue.model())
    code = metadata_pb2.CodeRevision(repository="https://git.example/p", revision="4f1c")
    clean = graph.record(
        "clean", kind=1, code=code, inputs=[node("DATA_SOURCE", "raw", uri="s3://b/raw")], outputs=[data("d@1")]
    )
    train = graph.record("train", kind=2, inputs=[data("d@1", digest="sha256:aa")], outputs=[version(made)])
    report = catalogue.api.evidence.AddEvidence(
        evidence_pb2.AddEvidenceRequest(
            parent=made.name,
            evidence=evidence_pb2.Evidence(
                kind=evidence_pb2.EVIDENCE_KIND_EVALUATION, tool="eval", outcome=evidence_pb2.EVIDENCE_OUTCOME_PASSED
            ),
        )
    )
    runs = graph.deploy(made)
    found = graph.get(node("DATA_SOURCE", "raw"), DOWN)
    assert [(step.distance, step.node.id) for step in found.steps] == [
        (1, clean.name),
        (2, "d@1"),
        (3, train.name),
        (4, made.name),
        (5, runs.name),
        (5, report.name),
    ]
    assert not found.truncated
    assert found.root.uri == "s3://b/raw"
    assert found.steps[1].node.digest == "sha256:aa"
    [last] = found.steps[4].edges
    assert (last.origin, last.relation, last.upstream.id) == ("deployment", pb.LINEAGE_RELATION_RUNS, made.name)
    wanted = [pb.LINEAGE_NODE_TYPE_MODEL_VERSION, pb.LINEAGE_NODE_TYPE_DEPLOYMENT]
    assert graph.names(data("d@1"), DOWN, types=wanted) == [made.name, runs.name]
    above = [clean.name, train.name, "https://git.example/p@4f1c", "d@1", "raw"]
    assert sorted(graph.names(version(made), UP, page_size=2)) == sorted(above)
    assert graph.api.GetRun(pb.GetRunRequest(name=train.name)) == train
    assert [run.name for run in graph.api.ListRuns(pb.ListRunsRequest(parent=graph.parent)).runs] == [
        train.name,
        clean.name,
    ]


def test_provenance_of_a_draft_is_followed_as_it_changes(catalogue, graph):
    def said(*names):
        return metadata_pb2.Provenance(training_data=[metadata_pb2.DatasetVersion(name=name) for name in names])

    made = catalogue.draft(catalogue.model(), provenance=said("a", "b"))
    assert graph.names(version(made)) == ["a", "b"]
    catalogue.update(made.name, "provenance", provenance=said("b", "c"))
    assert graph.names(version(made)) == ["b", "c"]
    catalogue.upload(made.name, "w", b"w")
    catalogue.finalize(made.name)
    assert graph.names(version(made)) == ["b", "c"]
    copy = catalogue.api.models.CopyVersion(versions_pb2.CopyVersionRequest(parent=catalogue.model(), source=made.name))
    assert graph.names(version(made), DOWN) == [copy.name]
    assert graph.names(data("b"), DOWN) == sorted([made.name, copy.name])


def test_cycles_and_edges_to_itself_and_ten_thousand_parents(catalogue, graph):
    one, two = (catalogue.draft(catalogue.model()) for _ in range(2))
    graph.link(edge(version(two), version(one)))
    refusal = refused(graph.link, edge(version(one), version(two)))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "LINEAGE_CYCLE")
    parent = metadata_pb2.ParentModel(relation=metadata_pb2.ParentModel.RELATION_FINE_TUNED, version=two.name)
    refusal = refused(catalogue.update, one.name, "provenance", provenance=metadata_pb2.Provenance(parents=[parent]))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "LINEAGE_CYCLE")
    refusal = refused(graph.link, edge(version(one), version(one)))
    assert (refusal.code, refusal.fields) == ("INVALID_ARGUMENT", ("links[0]",))
    many = [edge(version(one), data(f"d{number}")) for number in range(10_000)]
    refusal = refused(graph.link, *many)
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    refusal = refused(graph.record, inputs=[data(f"d{number}") for number in range(10_000)])
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    parents = [metadata_pb2.ParentModel(relation=1, uri=f"https://hub.example/{number}") for number in range(10_000)]
    refusal = refused(catalogue.draft, catalogue.model(), provenance=metadata_pb2.Provenance(parents=parents))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    graph.link(*many[:1000])
    assert len(graph.names(version(one), page_size=300)) == 1000


@pytest.mark.parametrize(
    ("links", "field"),
    [
        ([edge(data("a"), pb.LineageNode(id="b"))], "links[0].upstream.type"),
        ([edge(data("a"), pb.LineageNode(type=99, id="b"))], "links[0].upstream.type"),
        ([edge(data("a"), data(""))], "links[0].upstream.id"),
        ([edge(data("a"), data("b" * 513))], "links[0].upstream.id"),
        ([edge(data("a"), data("b\x00"))], "links[0].upstream.id"),
        ([edge(data("a"), data("b"), pb.LINEAGE_RELATION_RUNS)], "links[0].relation"),
        ([edge(data("a"), data("b"), 99)], "links[0].relation"),
        ([], "links"),
    ],
)
def test_links_that_cannot_be(graph, links, field):
    refusal = refused(graph.link, *links)
    assert (refusal.code, refusal.reason, refusal.fields) == ("INVALID_ARGUMENT", "INVALID_FIELD", (field,))


def test_walks_that_cannot_be(catalogue, graph):
    there = Catalogue(catalogue.api)
    made = there.draft(there.model())
    assert refused(graph.get, version(made)).fields == ("node.id",)
    assert refused(graph.get, data("nothing")).reason == "NODE_NOT_FOUND"
    assert refused(graph.get, version(f"{catalogue.model()}/versions/1")).reason == "NODE_NOT_FOUND"
    assert refused(graph.get, node("DEPLOYMENT", "x")).reason == "INVALID_RESOURCE_NAME"
    graph.link(edge(data("b"), data("a")))
    for depth in (-1, 51):
        assert refused(graph.get, data("a"), DOWN, depth=depth).fields == ("depth",)
    assert refused(graph.get, data("a"), 0).fields == ("direction",)
    assert refused(graph.get, data("a"), DOWN, types=[99]).fields == ("types[0]",)
    assert refused(graph.unlink, edge(data("a"), data("b"))).reason == "LINK_NOT_FOUND"
    assert refused(graph.api.GetRun, pb.GetRunRequest(name=f"{graph.parent}/runs/none")).reason == "RUN_NOT_FOUND"
    assert refused(graph.record, "-bad").fields == ("run_id",)


def test_pages_are_of_one_query(graph):
    graph.link(*(edge(data(f"d{number}"), data("a")) for number in range(5)))
    page = graph.get(data("a"), DOWN, page_size=2)
    refusal = refused(graph.get, data("a"), UP, page_size=2, page_token=page.next_page_token)
    assert refusal.reason == "INVALID_PAGE_TOKEN"
    assert graph.names(data("a"), DOWN, page_size=2) == [f"d{number}" for number in range(5)]


def test_a_repeated_link_answers_as_the_first_time(graph):
    links, request = [edge(data("b"), data("a"))], request_id()
    first = graph.link(*links, request_id=request)
    assert graph.link(*links, request_id=request) == first
    assert first.links[0].creator == "user:admin"
    again = graph.link(*links)
    assert (again.links, again.revision) == (first.links, first.revision)
    graph.link(edge(data("c"), data("b")), validate_only=True)
    assert graph.names(data("a"), DOWN) == ["b"]


def test_of_two_writers_one_closes_the_cycle(server, graph):
    for number in range(4):
        ends = data(f"x{number}"), data(f"y{number}")
        answers = at_once(2, lambda at, ends=ends: attempt(graph.link, edge(ends[at], ends[1 - at])))
        assert [answer.reason for answer in answers if isinstance(answer, Refusal)] == ["LINEAGE_CYCLE"]


def test_whoever_sees_one_model_sees_its_part(catalogue, graph, office, server):
    mine, hidden = catalogue.model(), catalogue.model()
    base, shown = catalogue.ready(hidden), catalogue.ready(mine)
    graph.link(
        edge(version(base), data("secret")),
        edge(version(shown), version(base)),
        edge(version(shown), data("open")),
    )
    graph.deploy(base)
    runs = graph.deploy(shown)
    who = office.bound("viewer", mine)
    theirs = Graph(catalogue, who.at(server))
    assert theirs.names(version(shown)) == ["open"]
    assert theirs.names(version(shown), DOWN) == [runs.name]
    for start in (version(base), data("secret")):
        assert refused(theirs.get, start, DOWN).reason == "NODE_NOT_FOUND"
    assert refused(theirs.link, edge(version(shown), data("x"))).reason == "PERMISSION_MISSING"
    assert refused(theirs.record).reason == "PERMISSION_MISSING"
    stranger = Graph(catalogue, office.somebody().at(server))
    assert refused(stranger.get, version(shown)).reason == "PROJECT_NOT_FOUND"


def test_what_was_linked_and_recorded_is_in_the_audit_trail(catalogue, graph):
    graph.link(edge(data("b"), data("a")))
    run = graph.record("audited", inputs=[data("a")])
    graph.record("audited", inputs=[data("b")])
    graph.api.DeleteRun(pb.DeleteRunRequest(name=run.name))
    entries = catalogue.api.audit.ListAuditEntries(
        audit_pb2.ListAuditEntriesRequest(parent=graph.parent, page_size=100)
    ).entries
    told = [(entry.method.rpartition(".")[2], entry.resource) for entry in entries if "Lineage" in entry.method]
    assert sorted(told) == sorted(
        [
            ("LinkLineage", f"{graph.parent}/lineage"),
            ("RecordRun", run.name),
            ("RecordRun", run.name),
            ("DeleteRun", run.name),
        ]
    )


def test_a_purged_project_is_begun_anew(catalogue, graph):
    graph.record("r", inputs=[data("a")])
    projects = catalogue.api.projects
    projects.DeleteProject(projects_pb2.DeleteProjectRequest(name=graph.parent, force=True))
    projects.PurgeProject(projects_pb2.PurgeProjectRequest(name=graph.parent))
    project_id = graph.parent.removeprefix("projects/")
    projects.CreateProject(projects_pb2.CreateProjectRequest(project_id=project_id, project=projects_pb2.Project()))
    assert not graph.api.ListRuns(pb.ListRunsRequest(parent=graph.parent)).runs
    assert refused(graph.get, data("a"), DOWN).reason == "NODE_NOT_FOUND"


def test_no_watch_tells_of_runs_and_links(catalogue, graph):
    graph.link(edge(data("b"), data("a")))
    graph.record("silent")
    catalogue.model()
    request = events_pb2.ListEventsRequest(parent=graph.parent, page_size=1000)
    assert {event.resource_type for event in catalogue.api.events.ListEvents(request).events} == {"Project", "Model"}


def test_a_deleted_version_stays_and_says_so(catalogue, graph):
    made = catalogue.draft(catalogue.model())
    graph.link(edge(version(made), data("a")))
    catalogue.api.models.DeleteVersion(versions_pb2.DeleteVersionRequest(name=made.name))
    [step] = graph.get(data("a"), DOWN).steps
    assert (step.node.id, step.node.properties["deleted"]) == (made.name, "true")
