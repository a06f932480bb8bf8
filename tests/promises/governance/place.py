"""A registry without a server, whose production is guarded: what people do to it, one short method each."""

import itertools
import uuid
from datetime import timedelta

from registry_grpc.domain import policies as rules
from registry_grpc.domain.access_names import REGISTRY, RoleBindingName, RoleName, Scope
from registry_grpc.domain.calls import Call, Principal
from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.governance_names import PolicyName
from registry_grpc.domain.names import ModelName, PointerName, ProjectName
from registry_grpc.domain.promotion import Decision
from registry_grpc.domain.resources import VersionState
from registry_grpc.server.ids import RandomIds
from registry_grpc.usecases.access.bindings import CreateRoleBinding, DeleteRoleBinding
from registry_grpc.usecases.governance.decisions import DecideOnPromotion
from registry_grpc.usecases.governance.evaluating import EvaluatePromotion
from registry_grpc.usecases.governance.freezing import FreezeStage
from registry_grpc.usecases.governance.gate import Gate
from registry_grpc.usecases.governance.looking import GetPromotionRequest
from registry_grpc.usecases.governance.policies import CreatePolicy, DeletePolicy, UpdatePolicy
from registry_grpc.usecases.governance.requests import (
    CommentPromotion,
    CommitPromotion,
    CreatePromotionRequest,
    Wish,
    WithdrawPromotion,
)
from registry_grpc.usecases.governance.withdrawing import SetVersionState
from registry_grpc.usecases.models import CreateModel
from registry_grpc.usecases.moving import Condition
from registry_grpc.usecases.projects import CreateProject
from registry_grpc.usecases.stages import GetStage, PromoteVersion, RollbackStage, VacateStage
from tests.contract.store.builders import version as new_version

ADMIN = "user:admin"
_numbers = itertools.count(1)


def call(principal=ADMIN, **values):
    return Call(principal=Principal(principal), method="Tests.Change", **values)


def approvals(count, **values):
    return rules.PolicyRule("people", rules.RequiredApprovals(count, **values))


OWNER = rules.PolicyRule("owner", rules.RequiredFields(("owner",)))


class Place:
    """One model in a project of its own, in a store; `expressions` compiles CEL."""

    def __init__(self, store, expressions=None):
        self.store, self.gate = store, Gate(expressions)
        self.project = ProjectName(f"p-{uuid.uuid4().hex[:10]}")
        CreateProject(store, RandomIds())(call(), self.project, {})
        self.name = ModelName(self.project.project, "m")
        self.model = CreateModel(store, RandomIds())(call(), self.name, {}).get()
        self.scope = Scope(self.project.project, "")
        if not store.read(lambda reader: reader.access.bindings.list(REGISTRY, after="", limit=1)):
            self.bind("admin", ADMIN, REGISTRY)

    def bind(self, role, principal, scope=None):
        fields = {"role": RoleName(role), "members": (principal,)}
        return CreateRoleBinding(self.store, RandomIds())(call(), scope or self.scope, "", fields).get().name

    def unbind(self, name: RoleBindingName):
        return DeleteRoleBinding(self.store)(call(), name, "").get()

    def ready(self, creator=ADMIN, stage="staging", **values):
        """A finalized version there, with bytes that nobody stored."""

        def work(unit):
            numbered = unit.models.number_version(self.name)
            made = new_version(
                self.model,
                numbered.number,
                state=VersionState.READY,
                stage=stage,
                creator=creator,
                manifest_digest=f"sha256:{next(_numbers):064x}",
                create_time=unit.now,
                update_time=unit.now,
                revision=unit.advance("tests"),
                **values,
            )
            unit.versions.insert(made)
            unit.record(Action.CREATED, made)
            return made

        return self.store.write(work).get().name.number

    def version(self, number):
        return self.store.read(lambda reader: reader.versions.get(self.name.version(number)))

    def policy(self, policy_id, *wanted, **fields):
        name = PolicyName(self.project.project, policy_id)
        given = {"stages": ("production",), "rules": wanted, **fields}
        return CreatePolicy(self.store, RandomIds(), self.gate.expressions)(call(), name, given).get()

    def change_policy(self, policy_id, **changes):
        name = PolicyName(self.project.project, policy_id)
        return UpdatePolicy(self.store, self.gate.expressions)(call(), name, "", changes).get()

    def delete_policy(self, policy_id):
        DeletePolicy(self.store)(call(), PolicyName(self.project.project, policy_id), "")

    def ask(self, number, who, stage="production", **fields):
        wish = Wish(version=self.name.version(number), stage=stage, **fields)
        return CreatePromotionRequest(self.store, RandomIds(), self.gate)(call(who), self.name, wish).get()

    def decide(self, request, who, decision=Decision.APPROVED):
        return DecideOnPromotion(self.store, self.gate, decision)(call(who), request, "", "").get()

    def comment(self, request, who):
        return CommentPromotion(self.store, self.gate)(call(who), request, "", "hm").get()

    def withdraw(self, request, who):
        return WithdrawPromotion(self.store)(call(who), request, "", "", refuse_others=lambda: None).get()

    def commit(self, request, who=ADMIN):
        return CommitPromotion(self.store, self.gate)(call(who), request, "", "").get()

    def request(self, request):
        return GetPromotionRequest(self.store, self.gate)(request)

    def promote(self, number, stage="production", **condition):
        use_case = PromoteVersion(self.store, self.gate)
        return use_case(call(), self.name.version(number), stage, Condition(**condition), "").get()

    def rollback(self, target=0):
        return RollbackStage(self.store, self.gate)(call(), self.stage(), target, Condition()).get()

    def vacate(self):
        return VacateStage(self.store)(call(), self.stage(), Condition()).get()

    def freeze(self, *, frozen=True):
        return FreezeStage(self.store, frozen=frozen)(call(), self.stage(), "because").get()

    def set_state(self, number, state):
        return SetVersionState(self.store, state)(call(), self.name.version(number), "", "because").get()

    def evaluate(self, number):
        return EvaluatePromotion(self.store, self.gate)(self.name.version(number), "production")

    def stage(self, stage="production"):
        return PointerName(self.project.project, "m", "stages", stage)

    def holder(self, stage="production"):
        return GetStage(self.store)(self.stage(stage)).number

    def pass_time(self, time: timedelta):
        self.store.clock_offset += time


def reason_of(act):
    """Why `act` is refused; empty when it is not."""
    try:
        act()
    except RegistryError as error:
        return str(error.reason)
    return ""
