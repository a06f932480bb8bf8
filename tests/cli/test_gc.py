"""`mreg gc`, and what else the operator sees of it."""

import json

import pytest

from registry_grpc.client import FailedPrecondition, Registry
from registry_grpc.v1 import server_pb2
from tests.kit.uploads import refused


def found(connected, *options):
    result = connected("gc", *options, "-o", "json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def count(answer, field):
    return int(answer.get(field, {}).get("count", 0))


def test_a_dry_run_says_what_would_go_and_removes_nothing(connected, tree, server):
    assert connected("push", tree, "short").code == 0
    before = count(found(connected), "waiting")
    assert connected("versions", "delete", "short/1").code == 0
    assert connected("versions", "purge", "short/1").code == 0

    dry = connected("gc")
    assert dry.code == 0
    assert "would go" in dry.out
    assert "--execute" in dry.err
    assert count(found(connected), "waiting") == before + 2

    done = connected("gc", "--execute")
    assert done.code == 0
    assert "removed" in done.out
    answer = found(connected, "--execute")
    # Their grace has only begun.
    assert (count(answer, "waiting"), count(answer, "collected")) == (before + 2, 0)


def test_adopting_needs_execute_by_command_and_by_call(connected, server):
    assert connected("gc", "--adopt-store").code == 2
    request = server_pb2.CollectGarbageRequest(adopt_store=True)
    refusal = refused(lambda: server.api().server.CollectGarbage(request))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")


def test_a_store_of_another_registry_is_frozen_until_it_is_adopted(connected, server):
    assert connected("gc", "--execute").code == 0
    mark = server.data_dir / "artifacts" / "objects" / "registrygrpc" / "marker"
    mark.write_bytes(b'{"epoch": 1, "registry": "00000000-0000-0000-0000-000000000000"}')

    refused_run = connected("gc", "--execute")
    assert refused_run.code != 0
    assert "00000000-0000-0000-0000-000000000000" in refused_run.err
    assert "--adopt-store" in refused_run.err
    with Registry() as registry, pytest.raises(FailedPrecondition):
        registry.collect_garbage()

    assert connected("gc", "--execute", "--adopt-store").code == 0
    assert connected("gc").code == 0


def test_a_project_keeps_the_newest_versions_when_it_says_so(connected):
    assert connected("projects", "create", "few").code == 0
    changed = connected("projects", "update", "few", "--keep-versions", "20", "--draft-retention", "2d", "-o", "json")
    assert changed.code == 0, changed.err
    assert json.loads(changed.out)["retention"] == {"draft": "172800s", "keep_versions": 20}
    kept = json.loads(connected("projects", "update", "few", "--draft-retention", "3d", "-o", "json").out)
    assert kept["retention"]["keep_versions"] == 20
    assert connected("projects", "update", "few", "--keep-versions", "10001").code != 0
    none = json.loads(connected("projects", "update", "few", "--keep-versions", "0", "-o", "json").out)
    assert none["retention"] == {"draft": "259200s"}


def test_the_oldest_revision_is_published(connected):
    with Registry() as registry:
        info = registry.server_info()
    assert 1 <= info.oldest_revision <= info.current_revision
