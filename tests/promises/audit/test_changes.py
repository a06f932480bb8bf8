"""What is told of the changes of every mutation of the contract fits together: each before is the after told last."""

import json

import pytest

from registry_grpc.v1 import audit_pb2
from tests.kit.catalogue import Catalogue, pages, request_id
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.promises.writes.mutations import CASES, every_method
from tests.promises.writes.tenant_mutations import PURGES

MOVES_UNTOLD = {"expire_time"}
"""Of a draft: every file that is put into it moves it."""
pytestmark = pytest.mark.promise("P12", "changes")


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as started:
        yield started


def call(api, name, request):
    method = every_method()[name]
    request.request_id = asked = request_id()
    api.channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=bytes,
    )(request, timeout=30)
    return asked


def test_each_before_is_the_after_that_was_told_last(server):
    api = server.api()
    asked = {name: call(api, name, case(Catalogue(api))[0]) for name, case in (CASES | PURGES).items()}
    entries = list(pages(api.audit.ListAuditEntries, audit_pb2.ListAuditEntriesRequest(outcome="applied")))[::-1]
    told, wrong = {}, []
    for entry in entries:
        for event in json.loads(entry.changes or "[]"):
            wrong += [f"{entry.method} {event['resource']} {text}" for text in replayed(told, event)]
    assert not wrong, "\n".join(wrong)
    by_id = {entry.request_id: entry for entry in entries}
    silent = {name for name, one in asked.items() if one in by_id and not by_id[one].changes}
    assert not silent
    api.close()


def replayed(told, event):
    """What does not fit; `told` has the fields of each resource as they were told."""
    resource, action = event["resource"], event["action"]
    is_new = action == "created" or resource not in told
    known = {} if is_new else told[resource]
    for field in event["fields"]:
        name, before = field["field"], field.get("before")
        if is_new and before:
            yield f"{action}: {name} was {before!r}, and nothing was there"
        if not is_new and "before" not in field:
            yield f"{action}: nobody says what {name} was, which is {field['after']!r} now"
        elif name in known.keys() - MOVES_UNTOLD and before != known[name]:
            yield f"{action}: {name} was {before!r}, and {known[name]!r} was told"
        known[name] = field.get("after")
    told[resource] = known
    if action == "purged":
        del told[resource]
