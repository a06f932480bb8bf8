"""P11: another replica tightens a policy, revokes a role or rejects a request while a promotion runs.

Whichever takes its revision first decides: nothing moves past what was in force when it moved, and what was not yet
forbidden goes through.
"""

import threading
import time

import grpc
import pytest

from registry_grpc.storage.sql import SqlStore
from registry_grpc.usecases.governance.gate import Gate
from registry_grpc.v1 import governance_pb2 as pb
from registry_grpc.v1 import stages_pb2
from tests.kit.catalogue import at_once
from tests.kit.deployments import two_replicas
from tests.kit.governing import ONE_APPROVAL, TWO_APPROVALS, Governed, approve, reject
from tests.kit.refusals import refusal_of
from tests.promises.governance.place import Place, approvals

ROUNDS = 16
NEVER = 1 << 62
"""The promotion left nothing to reject."""


@pytest.fixture(scope="module")
def replicas(service_environment):
    with two_replicas(service_environment) as both:
        yield both


class Round:
    """A version whose one approval is there, and what may happen to that at the other replica."""

    def __init__(self, here, there):
        self.here, self.there = here, there
        self.policy = here.policy(ONE_APPROVAL)
        self.version = here.staged().name
        self.request = here.ask(self.version).name
        self.person, api = here.named("approver")
        approve(api, self.request)
        self.other = here.named("approver")[1]

    def tighten(self):
        changed = pb.Policy(name=self.policy.name, rules=[TWO_APPROVALS])
        return self.there.governance.UpdatePolicy(pb.UpdatePolicyRequest(policy=changed)).revision

    def revoke(self):
        return self.here.office.unbind(self.here.bindings[self.person]).revision

    def reject(self):
        try:
            return reject(self.other, self.request).revision
        except grpc.RpcError as error:
            if refusal_of(error).reason != "PROMOTION_CLOSED":
                raise
            return NEVER

    def holder(self):
        return self.there.stages.GetStage(
            stages_pb2.GetStageRequest(name=f"{self.here.model}/stages/production")
        ).version

    def promote(self):
        """The revision it took; 0 when it was refused, as it must be."""
        try:
            return self.here.catalogue.on(self.there).promote(self.version, "production").revision
        except grpc.RpcError as error:
            found = refusal_of(error)
            assert (found.code, found.reason) == ("FAILED_PRECONDITION", "APPROVAL_REQUIRED"), found
            return 0


@pytest.mark.promise("P11", "races")
@pytest.mark.parametrize("change", ["tighten", "revoke", "reject"])
def test_whoever_takes_the_first_revision_decides(replicas, change):
    here, there = Governed(replicas[0]), replicas[1].api()
    outcomes = set()
    try:
        for number in range(ROUNDS):
            one = Round(here, there)
            head_start_s = (number - ROUNDS // 2) * 0.004  # from changing long before to promoting long before
            acts = (getattr(one, change), one.promote)

            def run(at, acts=acts, ahead=head_start_s):
                time.sleep(max(0.0, -ahead if at else ahead))
                return acts[at]()

            changed, moved = at_once(2, run)
            assert not moved or moved < changed, (changed, moved)
            assert (one.holder() == one.version) is bool(moved)
            outcomes.add(bool(moved))
            here.api.DeletePolicy(pb.DeletePolicyRequest(name=one.policy.name))
    finally:
        here.close()
        there.close()
    assert outcomes == {True, False}


@pytest.mark.promise("P11", "races")
def test_a_role_is_not_taken_away_between_the_count_and_the_move(postgres_url):
    """The promotion has counted and not yet committed: whoever revokes waits for it."""
    store = SqlStore(postgres_url, auto_upgrade=True)
    place = Place(store)
    binding = place.bind("approver", "user:ada")
    place.policy("p", approvals(1))
    number = place.ready()
    place.decide(place.ask(number, "user:cem").name, "user:ada")
    counted, revisions = threading.Event(), {}

    class Slow(Gate):
        def judge(self, *given, **named):
            judgement = super().judge(*given, **named)
            counted.set()
            time.sleep(0.5)
            return judgement

    def revoke():
        counted.wait(30)
        revisions["revoked"] = place.unbind(binding).revision

    place.gate = Slow()
    revoking = threading.Thread(target=revoke)
    revoking.start()
    revisions["moved"] = place.promote(number).revision
    revoking.join()
    store.close()
    assert revisions["moved"] < revisions["revoked"]
