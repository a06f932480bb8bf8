"""Exports, checkpoints and proofs over a real server on both deployments, checked without it."""

import grpc
import pytest

from registry_grpc.cli.audit_files import Export, line_of
from registry_grpc.domain.audit_check import check
from registry_grpc.domain.merkle import leaf_hash, proves_consistency, proves_inclusion
from registry_grpc.domain.notes import new_key_pem
from registry_grpc.usecases import audit as verbs
from registry_grpc.v1 import audit_pb2, projects_pb2
from tests.kit.auditing import audited, exported, verifier
from tests.kit.catalogue import Catalogue, new_id, pages
from tests.kit.deployments import DEPLOYMENTS, DISTRIBUTED, deployed, distributed_settings
from tests.kit.gotlog import judge
from tests.kit.refusals import refused
from tests.kit.server import running
from tests.kit.waiting import metric, until

ABSENT = 9_000_000
NO_ENTRY = "AUDIT_ENTRY_NOT_FOUND"


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    environment = request.getfixturevalue("service_environment")
    with audited(request.param, environment) as started:
        yield started


@pytest.fixture
def catalogue(server):
    api = server.api()
    yield Catalogue(api)
    api.close()


@pytest.fixture
def stub(catalogue):
    return catalogue.api.audit


def test_an_export_is_read_back_offline_and_any_line_of_it_counts(catalogue, stub):
    for _ in range(verbs.PAGE + 1):  # more than one message
        catalogue.model()
    before, old = exported(stub, fresh_checkpoint=True)
    catalogue.model()
    found, new = exported(stub, fresh_checkpoint=True)
    assert found[: len(before)] == before
    assert [entry.index for entry in found] == list(range(new.size))
    assert exported(stub, first_index=old.size)[0] == found[old.size :]
    assert exported(stub, first_index=ABSENT) == ([], new)
    heads = [verifier(stub).open(each.note) for each in (old, new)]
    lines = [line_of(entry) for entry in found]
    assert check(Export(lines).entries(), heads).fault is None
    for bad in (lines[:-1], lines[1:], [*lines[:3], lines[4], lines[3], *lines[5:]]):
        assert check(Export(bad).entries(), heads).fault is not None
    cut = lines[: old.size - 1]
    assert check(Export(cut).entries(), heads).fault.first == old.size - 1


@pytest.mark.promise("P12", "independent verifier")
def test_go_accepts_what_the_server_signs_and_proves(catalogue, stub):
    catalogue.model()
    _, old = exported(stub, fresh_checkpoint=True)
    catalogue.model()
    found, new = exported(stub, fresh_checkpoint=True)
    proof = stub.GetConsistencyProof(audit_pb2.GetConsistencyProofRequest(first_size=old.size, second_size=new.size))
    assert proves_consistency(old.size, new.size, proof.hashes, old.root_hash, new.root_hash)
    proofs = []
    for index in (0, old.size - 1, new.size - 1):
        one = stub.GetInclusionProof(audit_pb2.GetInclusionProofRequest(index=index, tree_size=new.size))
        assert one.entry == found[index]
        assert one.checkpoint.size >= new.size
        assert proves_inclusion(leaf_hash(one.entry.leaf), index, new.size, one.hashes, new.root_hash)
        proofs.append({"index": index, "leaf": one.entry.leaf, "hashes": list(one.hashes)})
    document = {
        "verifier_key": str(verifier(stub)),
        "note": new.note,
        "old_note": old.note,
        "inclusions": proofs,
        "consistency": list(proof.hashes),
    }
    assert judge(document).returncode == 0, judge(document).stderr
    assert judge(document | {"note": old.note, "old_note": new.note}).returncode == 1
    assert judge(document | {"inclusions": [proofs[0] | {"index": 1}]}).returncode == 1


def test_what_is_not_in_the_tree_is_not_proven(stub):
    size = exported(stub, fresh_checkpoint=True)[1].size
    for method, request, reason in (
        (
            stub.GetInclusionProof,
            audit_pb2.GetInclusionProofRequest(index=size, tree_size=size),
            "AUDIT_ENTRY_NOT_FOUND",
        ),
        (stub.GetInclusionProof, audit_pb2.GetInclusionProofRequest(index=0, tree_size=ABSENT), "INVALID_FIELD"),
        (stub.GetInclusionProof, audit_pb2.GetInclusionProofRequest(index=-1), "INVALID_FIELD"),
        (stub.GetConsistencyProof, audit_pb2.GetConsistencyProofRequest(first_size=0), "INVALID_FIELD"),
        (
            stub.GetConsistencyProof,
            audit_pb2.GetConsistencyProofRequest(first_size=2, second_size=1),
            "INVALID_FIELD",
        ),
        (stub.ExportAuditEntries, audit_pb2.ExportAuditEntriesRequest(first_index=-1), "INVALID_FIELD"),
    ):
        answer = refused(lambda method=method, request=request: _drained(method(request)))
        assert answer.reason == reason, request


def _drained(answer):
    return list(answer) if isinstance(answer, grpc.Call) else answer


def test_checkpoints_are_listed_the_newest_first_and_found_by_size(catalogue, stub):
    made = []
    for _ in range(3):
        catalogue.model()
        made.append(exported(stub, fresh_checkpoint=True)[1])
    listed = list(pages(stub.ListCheckpoints, audit_pb2.ListCheckpointsRequest(page_size=1)))
    assert [each for each in listed if each in made] == made[::-1]
    assert [each.size for each in listed] == sorted((each.size for each in listed), reverse=True)
    assert stub.GetCheckpoint(audit_pb2.GetCheckpointRequest()) == listed[0]
    assert stub.GetCheckpoint(audit_pb2.GetCheckpointRequest(max_size=made[1].size)) == made[1]
    assert stub.GetCheckpoint(audit_pb2.GetCheckpointRequest(max_size=made[2].size - 1)).size < made[2].size


def test_without_a_key_nothing_is_signed_and_the_bare_tree_is_proven(service_environment):
    with deployed(DISTRIBUTED, service_environment) as server:
        api = server.api()
        stub = api.audit
        api.projects.CreateProject(projects_pb2.CreateProjectRequest(project_id=new_id("p")))
        for ask in (
            lambda: stub.GetAuditKey(audit_pb2.GetAuditKeyRequest()),
            lambda: exported(stub, fresh_checkpoint=True),
        ):
            refusal = refused(ask)
            assert (refusal.code, refusal.reason) == ("UNIMPLEMENTED", "FEATURE_DISABLED")
            assert refusal.facts["feature"] == "audit.checkpoints"
        assert refused(stub.GetCheckpoint, audit_pb2.GetCheckpointRequest()).reason == NO_ENTRY
        found, checkpoint = exported(stub)
        assert not checkpoint.size
        proof = stub.GetInclusionProof(audit_pb2.GetInclusionProofRequest(index=0))
        assert (proof.tree_size, proof.entry) == (len(found), found[0])
        api.close()


@pytest.mark.promise("P12", "checkpoints")
def test_a_new_key_goes_on_from_the_last_checkpoint_of_the_former_one_when_it_is_told(service_environment, tmp_path):
    old_key, new_key = (tmp_path / name for name in ("old.key", "new.key"))
    for path in (old_key, new_key):
        path.write_text(new_key_pem())
    with distributed_settings(service_environment) as given:
        with running(given | {"audit_key_file": str(old_key)}) as server:
            token, api = server.token, server.api()
            _, old = exported(api.audit, fresh_checkpoint=True)
            former = verifier(api.audit)
            api.close()
        with running(given | {"audit_key_file": str(new_key)}) as server:
            api = server.api(token)
            Catalogue(api)  # the server serves on
            assert refused(exported, api.audit, fresh_checkpoint=True).code == "INTERNAL"
            until(lambda: metric(server.metrics_port, "registry_audit_checkpoints_refused_total"), 30)
            api.close()
        with running(given | {"audit_key_file": str(new_key), "audit_former_keys": str(former)}) as server:
            api = server.api(token)
            found, new = exported(api.audit, fresh_checkpoint=True)
            heads = [former.open(old.note), verifier(api.audit).open(new.note)]
            assert check(Export([line_of(entry) for entry in found]).entries(), heads).covered == new.size > old.size
            api.close()
