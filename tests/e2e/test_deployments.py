"""Deployments on real servers: reports, heartbeats, who still runs what, what ran when, drift, holders, consumers."""

from datetime import UTC, datetime, timedelta

import grpc
import pytest

from registry_grpc.client import Registry
from registry_grpc.v1 import access_pb2, events_pb2, projects_pb2, stages_pb2
from registry_grpc.v1 import deployments_pb2 as pb
from tests.kit.access import Office
from tests.kit.catalogue import Catalogue, at_once, request_id
from tests.kit.deployments import DEPLOYMENTS, deployed, two_replicas
from tests.kit.refusals import refused
from tests.kit.waiting import metric, until

SERVING = pb.DEPLOYMENT_STATE_SERVING
K = pb.Drift


class Fleet:
    """What runs versions of one project, as its reporters say."""

    def __init__(self, catalogue, api=None):
        self.catalogue = catalogue
        self.api = (api or catalogue.api).deployments
        self.parent = catalogue.parent

    def report(self, version, workload="api", request=None, **fields):
        given = {"environment": "prod", "workload": workload, "state": SERVING} | fields
        deployment = pb.Deployment(version=getattr(version, "name", version), **given)
        return self.api.ReportDeployment(
            pb.ReportDeploymentRequest(parent=self.parent, deployment=deployment, **(request or {}))
        )

    def heartbeat(self, *names):
        return self.api.HeartbeatDeployments(pb.HeartbeatDeploymentsRequest(parent=self.parent, names=names)).unknown

    def retire(self, name, **fields):
        return self.api.RetireDeployment(pb.RetireDeploymentRequest(name=name, **fields))

    def get(self, name):
        return self.api.GetDeployment(pb.GetDeploymentRequest(name=name))

    def list(self, **fields):
        return self._all(
            self.api.ListDeployments, pb.ListDeploymentsRequest(parent=self.parent, **fields), "deployments"
        )

    def runs(self, **fields):
        return self._all(
            self.api.ListDeploymentRuns, pb.ListDeploymentRunsRequest(parent=self.parent, **fields), "runs"
        )

    def drift(self, **fields):
        return self._all(self.api.GetDrift, pb.GetDriftRequest(parent=self.parent, **fields), "drifts")

    def consumers(self, parent, **fields):
        return self._all(self.api.ListConsumers, pb.ListConsumersRequest(parent=parent, **fields), "consumers")

    def events(self):
        request = events_pb2.ListEventsRequest(parent=self.parent, resource_types=["Deployment"], page_size=1000)
        return self.catalogue.api.events.ListEvents(request).events

    def _all(self, method, request, field):
        found = []
        while True:
            page = method(request)
            found += getattr(page, field)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request, service_environment):
    with deployed(request.param, service_environment) as server:
        yield server


@pytest.fixture
def catalogue(server):
    return Catalogue(server.api())


@pytest.fixture
def fleet(catalogue):
    return Fleet(catalogue)


@pytest.fixture
def office(server):
    office = Office(server)
    yield office
    office.close()


def test_who_still_runs_a_version_is_one_call(catalogue, fleet):
    model = catalogue.model()
    old, new = catalogue.readies(model, 2)
    for number in range(5):
        fleet.report(old if number % 2 else new, f"w{number}", cluster=f"c{number}")
    assert sorted(one.workload for one in fleet.list(version=old.name, page_size=1)) == ["w1", "w3"]
    assert [one.workload for one in fleet.list(model=model)] == ["w4", "w3", "w2", "w1", "w0"]
    assert [one.workload for one in fleet.list(cluster="c2")] == ["w2"]
    [one] = fleet.list(cluster="c1")
    assert (one.version, one.manifest_digest, one.reporter) == (old.name, old.manifest_digest, "user:admin")
    assert one.heartbeat_ttl.seconds == 300
    assert fleet.get(one.name) == one


def test_what_ran_in_a_cluster_at_a_time_is_one_call(catalogue, fleet):
    first, second = catalogue.readies(catalogue.model(), 2)
    begin = datetime.now(UTC) - timedelta(days=3)
    made = fleet.report(first, cluster="c", start_time=begin)
    fleet.report(second, cluster="c", start_time=begin + timedelta(days=1))
    fleet.retire(made.name)

    def ran(at):
        return [run.version for run in fleet.runs(cluster="c", from_time=at, to_time=at)]

    assert ran(begin - timedelta(seconds=1)) == []
    assert ran(begin) == [first.name]
    assert ran(begin + timedelta(days=1)) == [second.name]
    assert ran(begin + timedelta(days=2)) == [second.name]
    assert ran(datetime.now(UTC) + timedelta(minutes=1)) == []
    assert [run.version for run in fleet.runs(page_size=1)] == [second.name, first.name]


def test_heartbeats_and_reports_that_say_nothing_new_take_no_revision(catalogue, fleet):
    version = catalogue.ready(catalogue.model())
    made = fleet.report(version, annotations={"commit": "abc"}, traffic_percent=0, uri="http://api/", slot="s")
    before = catalogue.revision()
    again = fleet.report(version, annotations={"commit": "abc"}, traffic_percent=0, uri="http://api/", slot="s")
    unknown = f"{fleet.parent}/deployments/{'0' * 20}"
    assert fleet.heartbeat(made.name, unknown) == [unknown]
    assert catalogue.revision() == before
    assert (again.etag, again.revision) == (made.etag, made.revision)
    assert again.HasField("traffic_percent")
    assert fleet.get(made.name).heartbeat_time.ToDatetime() > made.heartbeat_time.ToDatetime()
    assert [event.deployment.name for event in fleet.events()] == [made.name]


def test_events_tell_of_deployments_and_a_watch_begins_with_those_that_run(catalogue, fleet):
    version = catalogue.ready(catalogue.model())
    runs, gone = fleet.report(version, "runs"), fleet.report(version, "gone")
    fleet.retire(gone.name)
    assert [(event.name, event.action) for event in fleet.events()] == [
        (runs.name, events_pb2.EVENT_ACTION_CREATED),
        (gone.name, events_pb2.EVENT_ACTION_CREATED),
        (gone.name, events_pb2.EVENT_ACTION_RETIRED),
    ]
    watch = catalogue.api.events.Watch(
        events_pb2.WatchRequest(parent=fleet.parent, resource_types=["Deployment"], send_initial_state=True), timeout=30
    )
    told = []
    for message in watch:
        told += [event.name for event in message.events]
        if message.kind == events_pb2.WatchResponse.KIND_INITIAL_STATE_END:
            break
    watch.cancel()
    assert told == [runs.name]


def test_drift_after_a_promotion_and_none_after_the_rollout(catalogue, fleet):
    first, second = catalogue.readies(catalogue.model(), 2)
    catalogue.bring(first.name, "production")
    fleet.report(first, stage="production")
    assert fleet.drift() == []
    catalogue.bring(second.name, "production")
    [drift] = fleet.drift(page_size=1)
    assert list(drift.kinds) == [K.KIND_VERSION_DIFFERS, K.KIND_VERSION_WITHDRAWN]
    assert (drift.desired_version, drift.desired_manifest_digest) == (second.name, second.manifest_digest)
    assert drift.since_time.ToDatetime() >= drift.deployment.start_time.ToDatetime()
    fleet.report(second, stage="production")
    assert fleet.drift() == []


def test_what_runs_cannot_be_deleted_until_it_is_retired(catalogue, fleet):
    version = catalogue.ready(catalogue.model())
    made = fleet.report(version)
    refusal = refused(catalogue.delete, version.name)
    assert (refusal.reason, refusal.subjects) == ("VERSION_IN_USE", (made.name,))
    fleet.retire(made.name)
    catalogue.delete(version.name)
    assert refused(lambda: fleet.report(version)).reason == "VERSION_NOT_FOUND"


def test_what_is_silent_goes_stale_holds_nothing_and_comes_back(catalogue, fleet, server):
    version = catalogue.ready(catalogue.model())
    made = fleet.report(version, heartbeat_ttl=timedelta(seconds=10))

    def told():
        return [event.action for event in fleet.events()]

    until(lambda: events_pb2.EVENT_ACTION_WENT_STALE in told(), 90, 0.5)
    assert fleet.get(made.name).stale
    [drift] = fleet.drift()
    assert list(drift.kinds) == [K.KIND_STALE]
    assert drift.since_time.ToDatetime() == made.heartbeat_time.ToDatetime() + timedelta(seconds=10)
    until(lambda: metric(server.metrics_port, "registry_deployments_stale") >= 1, 90, 0.5)
    assert fleet.heartbeat(made.name) == []
    assert not fleet.get(made.name).stale
    assert told()[:3] == [
        events_pb2.EVENT_ACTION_CREATED,
        events_pb2.EVENT_ACTION_WENT_STALE,
        events_pb2.EVENT_ACTION_CAME_BACK,
    ]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"state": pb.DEPLOYMENT_STATE_RETIRED}, "deployment.state"),
        ({"state": 99}, "deployment.state"),
        ({"traffic_percent": 101}, "deployment.traffic_percent"),
        ({"heartbeat_ttl": timedelta(seconds=9)}, "deployment.heartbeat_ttl"),
        ({"heartbeat_ttl": timedelta(days=31)}, "deployment.heartbeat_ttl"),
        ({"environment": ""}, "deployment.environment"),
        ({"workload": "two\nlines"}, "deployment.workload"),
        ({"cluster": "c" * 257}, "deployment.cluster"),
        ({"name": "projects/p/deployments/" + "0" * 20}, "deployment.name"),
    ],
)
def test_a_report_that_makes_no_sense_is_refused_by_field(catalogue, fleet, fields, field):
    version = catalogue.ready(catalogue.model())
    refusal = refused(fleet.report, version, **fields)
    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", (field,))


def test_a_retry_returns_the_first_answer_and_a_dry_run_changes_nothing(catalogue, fleet):
    version = catalogue.ready(catalogue.model())
    fleet.report(version, request={"validate_only": True})
    assert fleet.list() == []
    once = {"request_id": request_id()}
    made = fleet.report(version, request=once)
    fleet.report(version, message="later")
    assert fleet.report(version, request=once) == made
    fleet.retire(made.name, validate_only=True)
    assert len(fleet.list()) == 1


def test_whoever_sees_one_model_sees_its_deployments_only(catalogue, fleet, office, server):
    mine, theirs = catalogue.model(), catalogue.model()
    shown, hidden = fleet.report(catalogue.ready(mine)), fleet.report(catalogue.ready(theirs))
    somebody = office.bound("deployer", mine)
    api = somebody.at(server)
    narrow = Fleet(catalogue, api)
    until(lambda: _sees(narrow), 10)
    assert [one.name for one in narrow.list()] == [shown.name]
    assert {run.deployment for run in narrow.runs()} == {shown.name}
    assert narrow.drift() == []
    assert narrow.get(shown.name).name == shown.name
    assert refused(lambda: narrow.get(hidden.name)).reason == "DEPLOYMENT_NOT_FOUND"
    assert refused(lambda: narrow.retire(hidden.name)).reason == "DEPLOYMENT_NOT_FOUND"
    assert narrow.heartbeat(hidden.name, shown.name) == [hidden.name]
    assert refused(lambda: narrow.report(hidden.version)).reason == "PERMISSION_MISSING"
    assert narrow.report(shown.version, message="mine").reporter == somebody.principal
    narrow.retire(shown.name)
    viewer = Fleet(catalogue, office.bound("viewer", fleet.parent).at(server))
    until(lambda: _sees(viewer), 10)
    assert refused(lambda: viewer.retire(hidden.name)).reason == "PERMISSION_MISSING"
    api.close()


def _sees(fleet):
    try:
        fleet.list()
    except grpc.RpcError:
        return False
    return True


def test_a_binding_for_one_stage_reports_what_follows_that_stage(catalogue, fleet, office, server):
    version = catalogue.ready(catalogue.model())
    condition = access_pb2.Condition(stages=["staging"])
    limited = Fleet(catalogue, office.bound("deployer", fleet.parent, condition=condition).at(server))
    until(lambda: _sees(limited), 10)
    limited.report(version, "s", stage="staging")
    assert refused(lambda: limited.report(version, "p", stage="production")).reason == "PERMISSION_MISSING"
    theirs = fleet.report(version, "p", stage="production")
    assert limited.heartbeat(theirs.name) == [theirs.name]
    assert refused(lambda: limited.retire(theirs.name)).reason == "PERMISSION_MISSING"


def test_replicas_that_hear_the_same_report_at_once_make_one_deployment(service_environment):
    with two_replicas(service_environment) as (first, second):
        catalogue = Catalogue(first.api())
        one, other = catalogue.readies(catalogue.model(), 2)
        fleets = [Fleet(catalogue, server.api()) for server in (first, second)]
        for _ in range(4):
            made = at_once(6, lambda number: fleets[number % 2].report(one if number % 3 else other))
            assert len({each.name for each in made}) == 1
        runs = sorted(fleets[0].runs(), key=lambda run: (run.start_time.ToDatetime(), not run.HasField("end_time")))
        assert [run.HasField("end_time") for run in runs].count(False) == 1
        assert len(fleets[1].list()) == 1


@pytest.mark.parametrize("kind", DEPLOYMENTS)
def test_who_resolved_and_downloaded_is_counted_and_outlives_a_restart(service_environment, kind):
    with deployed(kind, service_environment) as server:
        catalogue = Catalogue(server.api())
        _use(catalogue, server)
        assert server.stop() == 0
        server.start()
        _require_counted(catalogue.on(server.api()))


def _use(catalogue, server):
    model = catalogue.model("used")
    _, second = catalogue.readies(model, 2)
    catalogue.bring(second.name, "production")
    project = catalogue.parent.removeprefix("projects/")
    before = catalogue.revision()
    with Registry(server.endpoint, token=server.token, project=project, cache_dir=server.data_dir / "c") as registry:
        for _ in range(7):
            registry.resolve("used@production")
        registry.resolve("used/1")
        assert len(catalogue.api.stages.BatchResolve(_batch(catalogue, model)).results) == 2
        registry.pull("used/1")
    assert catalogue.revision() == before


def _batch(catalogue, model):
    one = stages_pb2.ResolveRequest(name=model, stage="production")
    return stages_pb2.BatchResolveRequest(parent=catalogue.parent, requests=[one, one])


def _require_counted(catalogue):
    fleet = Fleet(catalogue)
    model = f"{catalogue.parent}/models/used"
    counted = {(one.version[-1], one.use): one.count for one in fleet.consumers(model, page_size=1)}
    assert counted[("2", pb.Consumer.USE_RESOLVED)] == 9
    assert counted[("1", pb.Consumer.USE_DOWNLOADED)] == 1
    assert counted[("1", pb.Consumer.USE_RESOLVED)] >= 1
    assert {one.principal for one in fleet.consumers(model)} == {"user:admin"}
    assert {one.version[-1] for one in fleet.consumers(f"{model}/versions/1")} == {"1"}
    assert fleet.consumers(model, first_day="2020-01-01", last_day="2020-01-02") == []
    assert refused(lambda: fleet.consumers(model, first_day="yesterday")).reason == "INVALID_FIELD"


def test_a_purged_project_leaves_nothing_to_its_successor(catalogue, fleet):
    model = catalogue.model()
    made = fleet.report(catalogue.ready(model))
    delete = projects_pb2.DeleteProjectRequest(name=catalogue.parent, force=True)
    assert made.name in refused(catalogue.api.projects.DeleteProject, delete).subjects
    fleet.retire(made.name)
    catalogue.api.projects.DeleteProject(delete)
    catalogue.api.projects.PurgeProject(projects_pb2.PurgeProjectRequest(name=catalogue.parent))
    project = catalogue.parent.removeprefix("projects/")
    catalogue.api.projects.CreateProject(projects_pb2.CreateProjectRequest(project_id=project))
    assert fleet.runs() == []
    assert refused(fleet.get, made.name).reason == "DEPLOYMENT_NOT_FOUND"
