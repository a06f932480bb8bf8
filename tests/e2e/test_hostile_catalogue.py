"""Hostile requests of the research table, rows 1-9 and 33-50, against a live server: refused as promised, nothing
changed. A row is a name, the call, and what the caller must see; the number in the name is the table's."""

import base64
import os
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from registry_grpc.v1 import catalogue_pb2, models_pb2, projects_pb2, server_pb2, stages_pb2, versions_pb2
from registry_grpc.v1 import metadata_pb2 as m
from tests.kit.catalogue import Catalogue, request_id
from tests.kit.refusals import refused
from tests.kit.server import running

MODEL, VERSION = models_pb2.Model, versions_pb2.ModelVersion
BAD, NAME, FIELD = "INVALID_ARGUMENT", "INVALID_RESOURCE_NAME", "INVALID_FIELD"
FULL = "RESOURCE_EXHAUSTED"
INFO = "/registry_grpc.v1.ServerService/GetServerInfo"
CREATE = "/registry_grpc.v1.ModelService/CreateModel"


@dataclass(frozen=True)
class World:
    """What the rows are about."""

    catalogue: Catalogue
    model: str
    other: str
    ready: VERSION
    draft: VERSION
    gone: VERSION
    server: Any

    @property
    def api(self):
        return self.catalogue.api

    def raw(self, data: bytes, path: str = CREATE, metadata=(), **how):
        call = self.api.channel.unary_unary(path, request_serializer=None, response_deserializer=None)
        return call(data, metadata=metadata, **how)


@pytest.fixture(scope="module")
def world():
    with running() as server:
        catalogue = Catalogue(server.api())
        model, other = catalogue.model(), catalogue.model()
        ready, gone, draft = catalogue.ready(model), catalogue.ready(model), catalogue.draft(model)
        catalogue.delete(gone.name)
        for _ in range(3):
            catalogue.draft(other)
        yield World(catalogue, model, other, ready, draft, catalogue.version(gone.name), server)
        catalogue.api.close()


def create_model(model_id="fresh", **fields):
    request = {key: fields.pop(key) for key in ("request_id", "parent") if key in fields}
    return lambda w: w.api.models.CreateModel(
        models_pb2.CreateModelRequest(
            **({"parent": w.catalogue.parent} | request), model_id=model_id, model=MODEL(**fields)
        )
    )


def create_version(**fields):
    return lambda w: w.catalogue.draft(w.model, **fields)


def update(mask=(), **fields):
    return lambda w: w.catalogue.update(w.draft.name, *mask, **fields)


def get_model(name):
    return lambda w: w.api.models.GetModel(models_pb2.GetModelRequest(name=name))


def alias(**to):
    return lambda w: w.catalogue.alias(w.model, **to)


def resolve(**question):
    return lambda w: w.catalogue.resolve(w.model, **question)


def promote(**fields):
    return lambda w: w.catalogue.promote(w.ready.name, "staging", **fields)


def token_of(w, **query) -> str:
    request = versions_pb2.ListVersionsRequest(parent=w.other, page_size=1, **query)
    return w.api.models.ListVersions(request).next_page_token


def versions(**fields):
    return lambda w: w.api.models.ListVersions(
        versions_pb2.ListVersionsRequest(
            **({"parent": w.other} | {key: value(w) if callable(value) else value for key, value in fields.items()})
        )
    )


def search(**fields):
    return lambda w: w.api.catalogue.SearchVersions(
        catalogue_pb2.SearchVersionsRequest(**({"parent": w.catalogue.parent} | fields))
    )


def search_token(w) -> str:
    return search(page_size=1)(w).next_page_token


def best(metric="", ties=0, **fields):
    return lambda w: w.api.catalogue.SelectBest(
        catalogue_pb2.SelectBestRequest(
            parent=w.catalogue.parent,
            objective=catalogue_pb2.Objective(metric=metric),
            tie_breaks=[catalogue_pb2.Objective(metric="b")] * ties,
            **fields,
        )
    )


def tampered(w) -> str:
    raw = bytearray(base64.urlsafe_b64decode(token_of(w) + "=="))
    raw[-2] ^= 1
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def metric(**fields):
    return create_version(metrics=[m.Metric(**({"name": "auc"} | fields))])


def spec(**fields):
    return create_version(signature=m.Signature(inputs=[m.TensorSpec(**fields)]))


def provenance(**fields):
    return create_version(provenance=m.Provenance(**fields))


ROWS = {
    "01 random bytes": (lambda w: w.raw(b"\xff\xfe\xfd" * 20), BAD, "MALFORMED_REQUEST", ()),
    "02 bad UTF-8": (lambda w: w.raw(b"\x0a\x02\xc3\x28"), BAD, "MALFORMED_REQUEST", ()),
    "03 nested 101 deep": (lambda w: w.raw(b"\x7b" * 101 + b"\x7c" * 101), BAD, "MALFORMED_REQUEST", ()),
    "03 nested 20,000 deep": (lambda w: w.raw(b"\x7b" * 20_000), BAD, "MALFORMED_REQUEST", ()),
    "04 truncated field": (lambda w: w.raw(b"\x0a\x7fabc"), BAD, "MALFORMED_REQUEST", ()),
    "06 a byte too long": (lambda w: w.raw(bytes(5 * 2**20 + 1)), FULL, "", ()),
    "07 gzip bomb": (lambda w: w.raw(bytes(30 * 2**20), compression=grpc.Compression.Gzip), FULL, "", ()),
    "09 metadata of 20 KiB": (lambda w: w.raw(b"", INFO, (("x-large", "a" * 20_000),)), FULL, "", ()),
    "09 metadata of 200 KiB": (lambda w: w.raw(b"", INFO, (("x-large", "a" * 200_000),)), FULL, "", ()),
    "33 page token of another parent": (
        lambda w: versions(parent=w.model, page_token=token_of)(w),
        BAD,
        "INVALID_PAGE_TOKEN",
        (),
    ),
    "33 page token of another order": (
        versions(page_token=token_of, order_by="number"),
        BAD,
        "INVALID_PAGE_TOKEN",
        (),
    ),
    "33 page token of another filter": (versions(page_token=token_of, states=[1]), BAD, "INVALID_PAGE_TOKEN", ()),
    "33 page token of another method": (
        lambda w: w.api.models.ListModels(
            models_pb2.ListModelsRequest(parent=w.catalogue.parent, page_token=token_of(w))
        ),
        BAD,
        "INVALID_PAGE_TOKEN",
        (),
    ),
    "33 page token tampered": (versions(page_token=tampered), BAD, "INVALID_PAGE_TOKEN", ()),
    "33 page token cut": (versions(page_token=lambda w: token_of(w)[:-1]), BAD, "INVALID_PAGE_TOKEN", ()),
    "33 page token no base64": (versions(page_token="%%%"), BAD, "INVALID_PAGE_TOKEN", ()),
    "33 page token of non-ASCII": (versions(page_token="é"), BAD, "INVALID_PAGE_TOKEN", ()),
    "34 page size -1": (versions(page_size=-1), BAD, FIELD, ("page_size",)),
    "35 filter": (versions(filter="a OR " * 10_000 + "b"), BAD, FIELD, ("filter",)),
    "35 filter of an unknown field": (versions(filter="name = '; DROP TABLE x'"), BAD, "INVALID_FILTER", ("filter",)),
    "35 filter too deep": (versions(filter="(" * 21 + "owner = a" + ")" * 21), BAD, "INVALID_FILTER", ("filter",)),
    "35 filter with a NUL": (versions(filter="owner = '\0'"), BAD, FIELD, ("filter",)),
    "36 facet unknown": (search(facets=["secret"]), BAD, FIELD, ("facets",)),
    "36 facets of 11": (search(facets=["owner"] * 11), BAD, FIELD, ("facets",)),
    "36 search order unknown": (search(order_by="secret_hash"), BAD, "INVALID_ORDER_BY", ("order_by",)),
    "36 search order injected": (search(order_by="name; DROP TABLE x"), BAD, "INVALID_ORDER_BY", ("order_by",)),
    "36 relevance of nothing": (search(order_by="relevance"), BAD, "INVALID_ORDER_BY", ("order_by",)),
    "34 search page size -1": (search(page_size=-1), BAD, FIELD, ("page_size",)),
    "42 enum version view": (search(view=9), BAD, FIELD, ("view",)),
    "33 search page token of another filter": (
        lambda w: search(filter="owner:*", page_token=search_token(w))(w),
        BAD,
        "INVALID_PAGE_TOKEN",
        (),
    ),
    "33 search page token tampered": (
        lambda w: search(page_size=1, page_token=search_token(w)[:-2] + "AA")(w),
        BAD,
        "INVALID_PAGE_TOKEN",
        (),
    ),
    "33 search page token of a list": (lambda w: search(page_token=token_of(w))(w), BAD, "INVALID_PAGE_TOKEN", ()),
    "35 query of marks": (search(query="!!!"), BAD, FIELD, ("query",)),
    "35 query of 17 words": (search(query=" ".join(f"w{n}" for n in range(17))), BAD, FIELD, ("query",)),
    "35 query too long": (search(query="x" * 513), BAD, FIELD, ("query",)),
    "35 search in what is no project": (search(parent="projects/-/models/x"), BAD, FIELD, ("parent",)),
    "35 best without a metric": (best(), BAD, FIELD, ("objective.metric",)),
    "35 best of six tie-breaks": (best(metric="a", ties=6), BAD, FIELD, ("tie_breaks",)),
    "35 best with 101 behind": (best(metric="a", runner_up_count=101), BAD, FIELD, ("runner_up_count",)),
    "35 best of nothing": (best(metric="a"), "NOT_FOUND", "NO_CANDIDATE", ()),
    "36 order unknown": (versions(order_by="owner"), BAD, "INVALID_ORDER_BY", ()),
    "36 order injected": (versions(order_by="number; DROP TABLE version"), BAD, "INVALID_ORDER_BY", ()),
    "37 mask unknown": (update(("nothing",)), BAD, "INVALID_UPDATE_MASK", ("update_mask.paths[0]",)),
    "37 mask output only": (update(("owner", "state")), BAD, "INVALID_UPDATE_MASK", ("update_mask.paths[1]",)),
    "37 mask too deep": (update(("framework.name",)), BAD, "INVALID_UPDATE_MASK", ("update_mask.paths[0]",)),
    "37 mask star and more": (update(("*", "owner")), BAD, "INVALID_UPDATE_MASK", ("update_mask",)),
    "37 mask of 1,000 paths": (update(("owner",) * 1000), BAD, "INVALID_UPDATE_MASK", ("update_mask",)),
    "37 mask immutable": (update(("version_label",)), BAD, "IMMUTABLE_FIELD", ("update_mask.paths[0]",)),
    "41 tags of 65": (create_model(tags={f"k{n}": "" for n in range(65)}), BAD, FIELD, ("model.tags",)),
    "41 tag key of 300": (create_model(tags={"k" * 300: "v"}), BAD, FIELD, (f"model.tags['{'k' * 60}']",)),
    "41 tag value of 64 KiB": (create_model(tags={"k": "v" * 65_536}), BAD, FIELD, ("model.tags['k']",)),
    "41 tag key empty": (create_model(tags={"": "v"}), BAD, FIELD, ("model.tags['']",)),
    "41 annotations together too large": (
        create_model(annotations={f"k{n}": "v" * 8000 for n in range(9)}),
        BAD,
        FIELD,
        ("model.annotations",),
    ),
    "42 enum direction": (metric(direction=999), BAD, FIELD, ("version.metrics[0].direction",)),
    "42 enum data type": (spec(name="x", data_type=999), BAD, FIELD, ("version.signature.inputs[0].data_type",)),
    "42 enum data type unset": (spec(name="x"), BAD, FIELD, ("version.signature.inputs[0].data_type",)),
    "42 enum role": (
        provenance(training_data=[m.DatasetVersion(name="d", role=999)]),
        BAD,
        FIELD,
        ("version.provenance.training_data[0].role",),
    ),
    "42 enum relation": (
        provenance(parents=[m.ParentModel(relation=999, uri="x:y")]),
        BAD,
        FIELD,
        ("version.provenance.parents[0].relation",),
    ),
    "42 enum state in a list": (versions(states=[1, 999]), BAD, FIELD, ("states[1]",)),
    "42 enum state unset in a list": (versions(states=[0]), BAD, FIELD, ("states[0]",)),
    "42 enum view": (resolve(stage="production", view=999), BAD, FIELD, ("view",)),
    "42 oneof selector unset": (resolve(), BAD, FIELD, ("selector",)),
    "42 oneof value unset": (
        create_version(parameters={"a": m.ParameterValue()}),
        BAD,
        FIELD,
        ("version.parameters['a'].kind",),
    ),
    "42 negative version": (resolve(version=-1), BAD, FIELD, ("version",)),
    "42 version zero": (resolve(version=0), BAD, FIELD, ("version",)),
    "42 negative expected version": (promote(expected_version=-1), BAD, FIELD, ("expected_version",)),
    "42 negative target": (
        lambda w: w.catalogue.rollback(w.model, target_version=-1),
        BAD,
        FIELD,
        ("target_version",),
    ),
    "42 negative min revision": (resolve(stage="production", min_revision=-1), BAD, FIELD, ("min_revision",)),
    "42 negative if changed since": (
        resolve(stage="production", if_changed_since=-1),
        BAD,
        FIELD,
        ("if_changed_since",),
    ),
    "42 shape below -1": (
        spec(name="x", data_type=1, shape=[-2]),
        BAD,
        FIELD,
        ("version.signature.inputs[0].shape[0]",),
    ),
    "42 largest version": (resolve(version=2**63 - 1), "NOT_FOUND", "VERSION_NOT_FOUND", ()),
    "42 largest alias target": (alias(champion=2**63 - 1), "NOT_FOUND", "VERSION_NOT_FOUND", ()),
    "43 year 0": (
        metric(measure_time=Timestamp(seconds=-62_135_596_801)),
        BAD,
        FIELD,
        ("version.metrics[0].measure_time",),
    ),
    "43 year 10,000": (
        metric(measure_time=Timestamp(seconds=253_402_300_800)),
        BAD,
        FIELD,
        ("version.metrics[0].measure_time",),
    ),
    "43 nanos 2e9": (metric(measure_time=Timestamp(nanos=2 * 10**9)), BAD, FIELD, ("version.metrics[0].measure_time",)),
    "43 nanos below 0": (resolve(stage="production", as_of=Timestamp(nanos=-1)), BAD, FIELD, ("as_of",)),
    "43 as of the largest int64": (
        resolve(stage="production", as_of=Timestamp(seconds=2**63 - 1)),
        BAD,
        FIELD,
        ("as_of",),
    ),
    "43 as of an alias": (resolve(alias="latest", as_of=Timestamp(seconds=1)), BAD, FIELD, ("as_of",)),
    "45 create existing": (
        lambda w: create_model(w.model.rpartition("/")[2])(w),
        "ALREADY_EXISTS",
        "RESOURCE_EXISTS",
        (),
    ),
    "47 request id of 300 B": (create_model(request_id="a" * 300), BAD, FIELD, ("request_id",)),
    "47 request id no UUID": (create_model(request_id="7"), BAD, FIELD, ("request_id",)),
    "47 request id of spaces": (create_model(request_id=" " * 36), BAD, FIELD, ("request_id",)),
    "48 etag stale": (update(("owner",), etag="0" * 16), "ABORTED", "ETAG_MISMATCH", ()),
    "48 etag of another resource": (
        lambda w: update(("owner",), etag=w.ready.etag)(w),
        "ABORTED",
        "ETAG_MISMATCH",
        (),
    ),
    "48 etag star": (update(("owner",), etag="*"), BAD, FIELD, ("version.etag",)),
    "48 etag of a delete star": (lambda w: w.catalogue.delete(w.draft.name, etag="*"), BAD, FIELD, ("etag",)),
    "48 etag of a stage stale": (promote(etag="x"), "ABORTED", "ETAG_MISMATCH", ()),
    "48 etag of a stage star": (promote(etag="*"), BAD, FIELD, ("etag",)),
    "48 etag of 129": (promote(etag="x" * 129), BAD, FIELD, ("etag",)),
    "49 illegal jump": (
        lambda w: w.catalogue.promote(w.ready.name, "production"),
        "FAILED_PRECONDITION",
        "STATE_TRANSITION",
        (),
    ),
    "49 alias to a draft": (
        lambda w: w.catalogue.alias(w.model, a=w.draft.number),
        "FAILED_PRECONDITION",
        "VERSION_STATE",
        (),
    ),
    "49 alias to a deleted version": (
        lambda w: w.catalogue.alias(w.model, a=w.gone.number),
        "FAILED_PRECONDITION",
        "VERSION_STATE",
        (),
    ),
    "49 alias to a version of nobody": (alias(a=99), "NOT_FOUND", "VERSION_NOT_FOUND", ()),
    "49 alias to version zero": (alias(a=0), BAD, FIELD, ("set['a']",)),
    "50 alias like a number": (alias(**{"7": 1}), BAD, FIELD, ("set['7']",)),
    "50 alias latest": (alias(latest=1), BAD, FIELD, ("set['latest']",)),
    "50 alias of 1,000": (alias(**{"a" * 1000: 1}), BAD, FIELD, (f"set['{'a' * 60}']",)),
    "50 alias of a stage": (alias(production=1), BAD, FIELD, ("set",)),
    "50 alias with upper case": (alias(Champion=1), BAD, FIELD, ("set['Champion']",)),
    "50 no alias at all": (alias(), BAD, FIELD, ("set",)),
    "50 delete latest": (lambda w: w.catalogue.unalias(w.model, "latest"), BAD, FIELD, ("delete[0]",)),
    "50 delete twice": (lambda w: w.catalogue.unalias(w.model, "a", "a"), BAD, FIELD, ("delete",)),
}
HOSTILE_IDS = {
    "empty": "",
    "64 KiB": "a" * 65_536,
    "64": "a" * 64,
    "dot": ".",
    "dots": "..",
    "slash": "a/b",
    "backslash": "a\\b",
    "percent": "%2e%2e",
    "upper": "CON",
    "leading dash": "-a",
    "trailing dash": "a-",
    "space": "a b",
    "NUL": "a\0b",
    "newline": "a\nb",
    "trailing newline": "a\n",
    "ANSI": "a\x1b[31m",
    "RTL": "a\u202eb",
    "zero width": "a\u200bb",
    "BOM": "\ufeffa",
    "homoglyph": "fr\u0430ud",
    "full width": "\uff41",
    "digit of another script": "a\u0661",
    "emoji": "a🦀",
    "quote": "a'b",
    "wildcard": "a*",
}
for kind, text in HOSTILE_IDS.items():
    ROWS[f"38 model id {kind}"] = (create_model(text), BAD, FIELD, ("model_id",))
    ROWS[f"39 model name {kind}"] = (get_model(f"projects/default/models/{text}"), BAD, NAME, ("name",))
    ROWS[f"39 stage {kind}"] = (
        lambda w, text=text: w.catalogue.promote(w.ready.name, text),
        BAD,
        FIELD,
        ("stage",),
    )
    ROWS[f"39 project id {kind}"] = (
        lambda w, text=text: w.api.projects.CreateProject(projects_pb2.CreateProjectRequest(project_id=text)),
        BAD,
        FIELD,
        ("project_id",),
    )
for kind, text in {"NUL": "a\0", "newline": "a\nb", "ANSI": "\x1b[0m", "DEL": "\x7f", "C1": "\x85"}.items():
    ROWS[f"40 display name {kind}"] = (create_model(display_name=text), BAD, FIELD, ("model.display_name",))
    ROWS[f"40 tag value {kind}"] = (create_model(tags={"k": text}), BAD, FIELD, ("model.tags['k']",))
for name in (
    "projects/p",
    "models/m",
    "/projects/p/models/m",
    "projects/p/models/m/",
    "projects//models/m",
    "x" * 9000,
):
    ROWS[f"38 name {name[:24]}"] = (get_model(name), BAD, NAME, ("name",))
for number in ("0", "01", "-1", "1.0", "٣", "9" * 30, "latest", ""):
    ROWS[f"38 version number {number}"] = (
        lambda w, number=number: w.catalogue.version(f"{w.model}/versions/{number}"),
        BAD,
        NAME,
        ("name",),
    )


@pytest.mark.promise("P14", "messages")
@pytest.mark.parametrize("row", sorted(ROWS))
def test_a_hostile_request_is_refused_by_the_book_and_changes_nothing(world, row):
    call, code, reason, fields = ROWS[row]
    before = world.catalogue.revision()
    seen = refused(call, world)
    assert (seen.code, seen.reason) == (code, reason), seen.text
    assert set(fields) <= set(seen.fields), seen.fields
    assert world.catalogue.revision() == before


@pytest.mark.promise("P14", "messages")
def test_row_05_unknown_fields_are_dropped_neither_kept_nor_hashed(world):
    asked = request_id()
    request = models_pb2.CreateModelRequest(parent=world.catalogue.parent, model_id="unknown", request_id=asked)
    noise = (b"\xfa\x7f\x64" + b"x" * 100) * 1000
    first = world.raw(request.SerializeToString() + noise)
    # The model inside has unknown fields as well.
    inner = b"\x1a" + b"\xe7\x07" + (b"\xfa\x7f\x64" + b"x" * 100)[:103] * 9 + b"\xfa\x7f\x45" + b"y" * 69
    assert len(inner) == 3 + 999
    second = models_pb2.CreateModelRequest(parent=world.catalogue.parent, model_id="unknown2")
    stored = world.raw(second.SerializeToString() + inner)
    # The same request without them is the same request.
    assert world.api.models.CreateModel(request).SerializeToString(deterministic=True) == MODEL.FromString(
        first
    ).SerializeToString(deterministic=True)
    assert b"xxx" not in first + stored
    shown = world.raw(
        models_pb2.GetModelRequest(name=MODEL.FromString(stored).name).SerializeToString(),
        "/registry_grpc.v1.ModelService/GetModel",
    )
    assert b"xxx" not in shown
    assert b"yyy" not in shown


@pytest.mark.promise("P14", "messages")
def test_row_08_a_broken_binary_header_leaves_the_connection_alive(world):
    before = world.catalogue.revision()
    with pytest.raises((grpc.RpcError, ValueError)):
        world.raw(b"", INFO, (("x-broken-bin", "é".encode() * 9000),))
    assert world.api.server.GetServerInfo(server_pb2.GetServerInfoRequest()).current_revision == before


def test_row_09_metadata_of_6_kib_is_fine(world):
    world.raw(b"", INFO, (("x-large", base64.b64encode(os.urandom(4500)).decode()),))


def test_row_34_page_size_zero_means_the_default_and_the_largest_is_lowered(world):
    for size in (0, 2**31 - 1):
        answer = versions(page_size=size)(world)
        assert [v.number for v in answer.versions] == [3, 2, 1]


def test_row_37_star_takes_every_mutable_field_and_a_mask_may_repeat(world):
    draft = world.catalogue.draft(world.model, owner="a", task="t", tags={"k": "v"})
    assert world.catalogue.update(draft.name, "owner", "owner", owner="b").owner == "b"
    cleared = world.catalogue.update(draft.name, "*", owner="c")
    assert (cleared.owner, cleared.task, dict(cleared.tags)) == ("c", "", {})
    kept = world.catalogue.update(draft.name, "name", "etag")
    assert kept.owner == "c"


def test_row_40_display_text_is_kept_as_it_was_sent(world):
    for text in ("e\u0301", "é", "a\u202eb", "a\u200bb", "\ufeffa", " padded ", "<script>", "fr\u0430ud", "🦀"):
        description = f"{text}\n\t{text}"
        model = world.catalogue.model(display_name=text, description=description, tags={text: text})
        shown = get_model(model)(world)
        assert (shown.display_name, shown.description, dict(shown.tags)) == (text, description, {text: text})


def test_row_40_a_lone_surrogate_is_no_utf_8_and_malformed(world):
    data = b"\x0a\x0fprojects/default\x12\x01x\x1a\x05\x1a\x03\xed\xa0\x80"
    seen = refused(world.raw, data)
    assert (seen.code, seen.reason) == (BAD, "MALFORMED_REQUEST")


def test_row_41_of_a_key_sent_twice_the_last_wins(world):
    model_id = "twice"
    request = models_pb2.CreateModelRequest(
        parent=world.catalogue.parent, model_id=model_id, model=MODEL(tags={"k": "first"})
    ).SerializeToString()
    again = models_pb2.CreateModelRequest(model=MODEL(tags={"k": "last"})).SerializeToString()
    assert dict(MODEL.FromString(world.raw(request + again)).tags) == {"k": "last"}


def test_row_47_an_empty_request_id_is_none(world):
    first = create_model("empty1", request_id="")(world)
    assert first.name != create_model("empty2", request_id="")(world).name


def test_row_43_the_first_and_last_moment_are_kept(world):
    for seconds, nanos in ((-62_135_596_800, 0), (253_402_300_799, 999_999_000)):
        when = Timestamp(seconds=seconds, nanos=nanos)
        assert metric(measure_time=when)(world).metrics[0].measure_time == when
        assert (
            update(("metrics",), metrics=[m.Metric(name="x", measure_time=when)])(world).metrics[0].measure_time == when
        )
    early = refused(resolve(stage="development", as_of=Timestamp(seconds=-62_135_596_800)), world)
    assert early.reason == "STAGE_VACANT"
    assert resolve(stage="development", as_of=Timestamp(seconds=253_402_300_799))(world).version_number == 1


def test_masks_of_models_and_projects_are_judged_alike(world):
    for call, request in (
        (
            world.api.models.UpdateModel,
            models_pb2.UpdateModelRequest(model=MODEL(name=world.model), update_mask=FieldMask(paths=["uid"])),
        ),
        (
            world.api.projects.UpdateProject,
            projects_pb2.UpdateProjectRequest(
                project=projects_pb2.Project(name=world.catalogue.parent), update_mask=FieldMask(paths=["uid"])
            ),
        ),
    ):
        seen = refused(call, request)
        assert (seen.code, seen.reason, seen.fields) == (BAD, "INVALID_UPDATE_MASK", ("update_mask.paths[0]",))


def test_a_stage_name_is_judged_like_every_name(world):
    request = stages_pb2.GetStageRequest(name=f"{world.model}/stages/Prod")
    seen = refused(world.api.stages.GetStage, request)
    assert (seen.code, seen.reason, seen.fields) == (BAD, NAME, ("name",))
