"""Deployments for tests over a store, with nothing in between: each builder says only what a test is about."""

import itertools
import uuid
from datetime import timedelta

from registry_grpc.domain.access import EVERYTHING
from registry_grpc.domain.calls import Call, Principal
from registry_grpc.domain.deployments import DEFAULT_TTL, DeploymentFilter, DeploymentState, Place, RunFilter
from registry_grpc.domain.drift import Desired, Observation, Running, archive_stages, drift_of
from registry_grpc.domain.events import Action
from registry_grpc.domain.names import ModelName, PointerName, ProjectName
from registry_grpc.domain.pointers import PointerKind
from registry_grpc.domain.resources import VersionState
from registry_grpc.server.ids import RandomIds
from registry_grpc.usecases.deletion import DeleteVersion
from registry_grpc.usecases.deployment_upkeep import DeploymentHolders, MarkStale
from registry_grpc.usecases.deployments import (
    HeartbeatDeployments,
    ListDeploymentRuns,
    ListDeployments,
    RetireDeployment,
)
from registry_grpc.usecases.drift import GetDrift
from registry_grpc.usecases.holders import PointerHolders
from registry_grpc.usecases.models import CreateModel
from registry_grpc.usecases.moving import Condition
from registry_grpc.usecases.projects import CreateProject
from registry_grpc.usecases.reports import Report, ReportDeployment
from registry_grpc.usecases.stages import PromoteVersion, RollbackStage, VacateStage
from tests.contract.store.builders import version as new_version

DAY = timedelta(days=1)
HOLDERS = (PointerHolders(), DeploymentHolders())
_numbers = itertools.count(1)


def call(principal="user:ada", **values):
    return Call(principal=Principal(principal), method="Tests.Change", **values)


class World:
    """One model in a project of its own, in a store."""

    def __init__(self, store):
        self.store = store
        self.project = ProjectName(f"p-{uuid.uuid4().hex[:10]}")
        CreateProject(store, RandomIds())(call(), self.project, {})
        self.model = self.new_model("m")

    def new_model(self, model_id):
        name = self.model_name(model_id)
        return CreateModel(self.store, RandomIds())(call(), name, {}).get()

    def model_name(self, model_id):
        return ModelName(self.project.project, model_id)

    def pass_time(self, time):
        self.store.clock_offset += time

    def ready(self, model=None):
        """A finalized version in `development`, with bytes that nobody stored."""
        of = model or self.model

        def work(unit):
            numbered = unit.models.number_version(of.name)
            revision = unit.advance("tests")
            made = new_version(
                of,
                numbered.number,
                state=VersionState.READY,
                stage="development",
                manifest_digest=f"sha256:{next(_numbers):064x}",
                create_time=unit.now,
                update_time=unit.now,
                revision=revision,
            )
            unit.versions.insert(made)
            unit.record(Action.CREATED, made)
            return made

        return self.store.write(work).get()

    def promote(self, version, stage="staging"):
        return PromoteVersion(self.store)(call(), version.name, stage, Condition(), "").get()

    def to_production(self, version):
        self.promote(version)
        return self.promote(version, "production")

    def rollback(self, stage="production"):
        name = PointerName(self.project.project, self.model.name.model, "stages", stage)
        return RollbackStage(self.store)(call(), name, 0, Condition()).get()

    def vacate(self, stage="production"):
        name = PointerName(self.project.project, self.model.name.model, "stages", stage)
        return VacateStage(self.store)(call(), name, Condition()).get()

    def delete(self, version):
        return DeleteVersion(self.store, HOLDERS, 30 * DAY)(call(), version.name, "").get()

    def said(self, version, workload="api", **values):
        place = Place(
            environment=values.pop("environment", "prod"),
            cluster=values.pop("cluster", ""),
            workload=workload,
            slot=values.pop("slot", ""),
        )
        given = {
            "manifest_digest": "",
            "stage": "",
            "state": DeploymentState.SERVING,
            "traffic_percent": None,
            "message": "",
            "uri": "",
            "heartbeat_ttl": DEFAULT_TTL,
            "start_time": None,
        }
        return Report(version=version.name, place=place, **(given | values))

    def report(self, version, workload="api", principal="user:ada", **values):
        report = self.said(version, workload, **values)
        return ReportDeployment(self.store, RandomIds())(call(principal), self.project, report).get()

    def heartbeat(self, *names, may=None):
        return HeartbeatDeployments(self.store)(call(), self.project, names, may).get()

    def retire(self, name, etag=""):
        return RetireDeployment(self.store)(call(), name, etag, lambda _: EVERYTHING).get()

    def get(self, name):
        return self.store.read(lambda reader: reader.deployments.get(name))

    def list(self, **values):
        wanted = DeploymentFilter(project=self.project.project, **values)
        return ListDeployments(self.store)(wanted, after=None, limit=1000)

    def runs(self, **values):
        wanted = RunFilter(project=self.project.project, **values)
        return ListDeploymentRuns(self.store)(wanted, before=None, limit=1000)

    def drift(self, **values):
        return GetDrift(self.store)(DeploymentFilter(project=self.project.project, **values), after="", limit=1000)

    def mark_stale(self):
        return MarkStale(self.store)()

    def revision(self):
        return self.store.read(lambda reader: reader.feed.head())

    def actions(self):
        """What the log says of deployments of this project, in order."""
        events = self.store.read(lambda reader: list(reader.feed.after(0, 100_000)))
        return [
            event.action
            for event in events
            if type(event.after).__name__ == "Deployment" and event.after.name.project == self.project.project
        ]

    def naive_drift(self):
        """Drift by id, from what each thing says of itself when asked alone."""

        def work(reader):
            project = reader.projects.get(self.project.project)
            archives = archive_stages(project)
            found = {}
            for one in reader.deployments.present(self.project.project, "", after="", limit=1000):
                drift = drift_of(_seen(reader, one), archives, reader.now)
                if drift is not None:
                    found[one.name.deployment] = drift.kinds
            return found

        return self.store.read(work, snapshot=True)


def _seen(reader, one):
    version = reader.versions.by_uid(one.version_uid)
    running = version and Running(
        manifest_digest=version.manifest_digest,
        state=version.state,
        stage=version.stage,
        update_time=version.update_time,
        delete_time=version.delete_time,
    )
    pointer = reader.pointers.get(one.model_uid, PointerKind.STAGE, one.stage) if one.stage else None
    desired = pointer and Desired(
        version=pointer.target.name if pointer.target else None,
        version_uid=pointer.target.uid if pointer.target else "",
        manifest_digest=pointer.target.manifest_digest if pointer.target else "",
        set_time=pointer.set_time,
    )
    return Observation(deployment=one, running=running, desired=desired, moved_time=None)
