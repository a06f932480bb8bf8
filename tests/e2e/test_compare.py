"""CompareVersions and ExportBillOfMaterials over real servers, on both deployments."""

import json
import math

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from registry_grpc.v1 import access_pb2, artifacts_pb2, catalogue_pb2, evidence_pb2
from registry_grpc.v1 import metadata_pb2 as m
from tests.kit.access import Office
from tests.kit.catalogue import Catalogue, new_id
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.governing import ONE_APPROVAL, Governed, approve
from tests.kit.refusals import refused
from tests.kit.searching import metric

UP, DOWN = m.Metric.DIRECTION_MAXIMISE, m.Metric.DIRECTION_MINIMISE
NAN = math.nan


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as started:
        yield started


@pytest.fixture
def catalogue(server):
    api = server.api()
    yield Catalogue(api)
    api.close()


@pytest.fixture(scope="module")
def office(server):
    made = Office(server)
    yield made
    made.close()


def compare(catalogue, *versions, api=None, **fields):
    names = [getattr(each, "name", each) for each in versions]
    request = catalogue_pb2.CompareVersionsRequest(**({"parent": catalogue.parent, "names": names} | fields))
    return (api or catalogue.api).catalogue.CompareVersions(request)


def rows(table):
    return {row.field: list(row.values) for row in table}


def spec(name, kind=m.DATA_TYPE_FLOAT32, **fields):
    return m.TensorSpec(name=name, data_type=kind, **fields)


def needs(**versions):
    return [m.Dependency(ecosystem="pypi", name=name, version=version) for name, version in versions.items()]


def test_versions_of_any_model_lie_side_by_side(catalogue):
    first = catalogue.ready(
        catalogue.model("fraud"),
        owner="ann",
        tags={"team": "risk"},
        framework=m.Framework(name="xgboost", version="2.1"),
        parameters={"lr": m.ParameterValue(double_value=0.1), "warm": m.ParameterValue(bool_value=True)},
        dependencies=needs(numpy="1.26.4", scipy="1.11"),
        metrics=[metric("auc", 0.9, direction=UP, dataset="q3"), metric("loss", 0.5, direction=DOWN), metric("n", 7)],
        provenance=m.Provenance(training_data=[m.DatasetVersion(name="tx", version="7", role=1)]),
    )
    second = catalogue.ready(
        catalogue.model("fraud-2"),
        owner="ann",
        framework=m.Framework(name="xgboost", version="2.2"),
        parameters={"lr": m.ParameterValue(double_value=0.3)},
        dependencies=needs(NumPy="2.1"),
        metrics=[metric("auc", 0.95, dataset="q3"), metric("loss", 0.25), metric("n", NAN), metric("f1", 0.5)],
        card=m.ModelCard(license="mit"),
        model_card="# Long",
    )
    third = catalogue.draft(first.name.rpartition("/versions/")[0], metrics=[metric("auc", 0.9, dataset="q3")])
    found = compare(catalogue, first, second, third)
    assert [each.name for each in found.versions] == [first.name, second.name, third.name]
    assert not any(each.model_card or each.dependencies or each.HasField("card") for each in found.versions)
    fields = rows(found.fields)
    assert fields["owner"] == ["ann", "ann", ""]
    assert fields["framework"] == ["xgboost==2.1", "xgboost==2.2", ""]
    assert fields["training_data"] == ["tx@7 (train)", "", ""]
    assert fields["tags.team"] == ["risk", "", ""]
    assert fields["card.license"] == ["", "mit", ""]
    assert fields["state"] == ["ready", "ready", "draft"]
    assert "algorithm" not in fields
    assert rows(found.parameters) == {"lr": ["0.1", "0.3", ""], "warm": ["true", "", ""]}
    assert rows(found.dependencies) == {"pypi:numpy": ["1.26.4", "2.1", ""], "pypi:scipy": ["1.11", "", ""]}
    by_name = {row.name: row for row in found.metrics}
    auc, loss = by_name["auc"], by_name["loss"]
    assert (auc.dataset, auc.direction, auc.best, auc.differs) == ("q3", UP, 1, True)
    assert [cell.value for cell in auc.cells] == [0.9, 0.95, 0.9]
    assert auc.cells[1].delta == pytest.approx(0.05)
    assert [cell.better if cell.HasField("better") else None for cell in auc.cells] == [None, True, None]
    assert (loss.best, loss.cells[1].better, loss.cells[1].delta) == (1, True, -0.25)
    assert not loss.cells[2].HasField("value")
    assert (by_name["n"].best, by_name["n"].direction) == (-1, 0)
    assert not by_name["n"].cells[1].HasField("delta")
    assert by_name["f1"].best == -1
    assert "owner" in rows(compare(catalogue, first, second).fields)
    few = compare(catalogue, first, second, differences_only=True)
    assert "owner" not in rows(few.fields)
    assert all(row.differs for row in (*few.fields, *few.metrics, *few.dependencies, *few.parameters))
    same = compare(catalogue, first, first, differences_only=True)
    assert [*same.fields, *same.metrics, *same.parameters, *same.dependencies] == []


def test_files_are_compared_by_path_and_bytes(catalogue):
    model = catalogue.model()

    def made(**files):
        draft = catalogue.draft(model)
        for path, content in files.items():
            catalogue.upload(draft.name, path, content)
        return catalogue.finalize(draft.name)

    first = made(same=b"12345", changed=b"old", gone=b"moved")
    second = made(same=b"12345", changed=b"new", here=b"moved", more=b"x")
    (files,) = compare(catalogue, first, second).files
    assert (files.version, files.same_count, files.shared_bytes) == (second.name, 1, 10)
    assert (list(files.changed), list(files.added), list(files.removed)) == (["changed"], ["here", "more"], ["gone"])
    assert not files.truncated


def test_callers_of_the_first_are_told_whether_they_can_go_on(catalogue):
    model = catalogue.model()
    first = catalogue.draft(model, signature=m.Signature(inputs=[spec("x", shape=[-1, 3])], outputs=[spec("score")]))
    wider = catalogue.draft(
        model,
        signature=m.Signature(inputs=[spec("x", shape=[-1, 3]), spec("y", optional=True)], outputs=[spec("score")]),
    )
    other = catalogue.draft(
        model, signature=m.Signature(inputs=[spec("x", m.DATA_TYPE_INT64, shape=[-1, 3])], outputs=[spec("p")])
    )
    good, bad = compare(catalogue, first, wider, other).signatures
    assert (good.version, good.compatible, good.reason, list(good.added)) == (wider.name, True, "", ["input:y"])
    assert not bad.compatible
    assert "input 'x' is int64, was float32" in bad.reason
    assert (list(bad.added), list(bad.removed)) == (["output:p"], ["output:score"])
    assert list(bad.changed) == ["input:x is int64[-1, 3], was float32[-1, 3]"]


def test_approvals_and_evidence_stand_beside_each_other(server):
    governed = Governed(server)
    governed.policy(ONE_APPROVAL)
    catalogue = governed.catalogue
    first, second = governed.staged(), governed.staged()
    request = governed.ask(second.name)
    approve(governed.person("approver"), request.name)
    catalogue.promote(second.name, "production")
    for version, outcome, findings in ((first, 2, 3), (first, 1, 0), (second, 2, 3)):
        evidence = evidence_pb2.Evidence(kind=2, tool="picklescan", outcome=outcome, findings=findings)
        request = evidence_pb2.AddEvidenceRequest(parent=version.name, evidence=evidence)
        catalogue.api.evidence.AddEvidence(request)
    found = rows(compare(catalogue, first, second).evidence)
    assert found["scan:picklescan"] == ["passed", "failed, 3 findings"]
    assert found["approval:production"][0] == ""
    assert found["approval:production"][1].startswith("user:")
    governed.close()


def test_what_cannot_be_compared_is_refused_by_name(catalogue):
    model = catalogue.model()
    one = catalogue.draft(model).name
    elsewhere = Catalogue(catalogue.api)
    other = elsewhere.draft(elsewhere.model()).name
    for names, code, reason, fields in (
        ([one], "INVALID_ARGUMENT", "INVALID_FIELD", ("names",)),
        ([], "INVALID_ARGUMENT", "INVALID_FIELD", ("names",)),
        ([one] * 21, "INVALID_ARGUMENT", "INVALID_FIELD", ("names",)),
        ([one, other], "INVALID_ARGUMENT", "INVALID_FIELD", ("names[1]",)),
        ([one, model], "INVALID_ARGUMENT", "INVALID_RESOURCE_NAME", ("names[1]",)),
        ([one, f"{model}/versions/99"], "NOT_FOUND", "VERSION_NOT_FOUND", ()),
    ):
        refusal = refused(compare, catalogue, *names)
        assert (refusal.code, refusal.reason, refusal.fields) == (code, reason, fields), names
    assert len(compare(catalogue, *[one] * 20).versions) == 20
    assert len(compare(catalogue, one, other, parent="projects/-").versions) == 2


def test_tables_that_nobody_reads_are_refused(catalogue):
    model = catalogue.model()
    many = [
        catalogue.draft(model, dependencies=needs(**{f"p{version}x{at}": "1" for at in range(500)})).name
        for version in range(20)
    ]
    assert len(compare(catalogue, *many).dependencies) == 10_000
    one_more = catalogue.draft(model, dependencies=needs(**{f"q{at}": "1" for at in range(501)})).name
    refusal = refused(compare, catalogue, one_more, *many[1:])
    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", ("names",))
    assert "compare fewer" in refusal.text


def test_nobody_sees_what_they_may_not_list(catalogue, office, server):
    model = catalogue.model()
    first, second = catalogue.ready(model), catalogue.ready(model)
    evidence = evidence_pb2.Evidence(kind=2, tool="picklescan", outcome=1)
    catalogue.api.evidence.AddEvidence(evidence_pb2.AddEvidenceRequest(parent=first.name, evidence=evidence))
    role = access_pb2.Role(permissions=["versions.get", "versions.list", "models.get"])
    name = office.api.access.CreateRole(access_pb2.CreateRoleRequest(role_id=new_id("r"), role=role)).name
    narrow = office.bound(name.rpartition("/")[2], catalogue.parent).at(server)
    outsider = office.bound("viewer", Catalogue(catalogue.api).parent).at(server)
    viewer = office.bound("viewer", model).at(server)
    assert compare(catalogue, first, second, api=viewer).files
    assert compare(catalogue, first, second, api=viewer).evidence
    told = compare(catalogue, first, second, api=narrow)
    assert [*told.files, *told.evidence] == []
    assert told.fields
    assert refused(compare, catalogue, first, second, api=outsider).reason == "PROJECT_NOT_FOUND"
    assert refused(compare, catalogue, first, second, api=outsider, parent="projects/-").code in {
        "NOT_FOUND",
        "PERMISSION_DENIED",
    }
    partly, whole = (json.loads(bom(each, first.name).document) for each in (narrow, viewer))
    assert "components" not in partly["metadata"]["component"]
    assert partly["compositions"][0]["aggregate"] == "incomplete"
    assert whole["compositions"][0]["aggregate"] == "complete"
    for api in (narrow, outsider, viewer):
        api.close()


def bom(api, name):
    return api.catalogue.ExportBillOfMaterials(catalogue_pb2.ExportBillOfMaterialsRequest(name=name))


def validated(document):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document) is None
    return json.loads(document)


def test_a_bill_of_materials_has_all_a_version_is_made_of(catalogue):
    parent = catalogue.ready(catalogue.model("base"))
    digest = "ab" * 32
    made = catalogue.ready(
        catalogue.model("fraud"),
        b"weights",
        owner="ann",
        description='Says "no"',
        algorithm="gradient boosting",
        task="binary-classification",
        model_card="# Card",
        card=m.ModelCard(
            intended_use="Payments", limitations="Few rows", ethical_considerations="Bias", license="apache-2.0"
        ),
        metrics=[metric("auc", 0.9, dataset="q3", slice="de"), metric("nan", NAN)],
        dependencies=[
            m.Dependency(ecosystem="pypi", name="Scikit_Learn", version="1.5.2"),
            m.Dependency(ecosystem="pypi", name="numpy", version=">=1,<2", marker="python_version < '4'"),
            m.Dependency(ecosystem="conda", name="mkl"),
        ],
        signature=m.Signature(inputs=[spec("x", shape=[-1, 3])]),
        provenance=m.Provenance(
            code=m.CodeRevision(repository="https://example.org/r.git", revision="4f2c"),
            training_data=[
                m.DatasetVersion(name="tx", version="7", uri="s3://b/x%20y", digest=f"sha256:{digest}", role=1),
                m.DatasetVersion(name="tx", uri="https://example.org/d?a=b#c", digest="sha256:abc"),
                m.DatasetVersion(name="label", uri="a label [with] marks"),
            ],
            parents=[
                m.ParentModel(relation=1, version=parent.name),
                m.ParentModel(relation=2, uri="hf:x/y[z]", digest="git:4f2c"),
            ],
        ),
    )
    answer = bom(catalogue.api, made.name)
    assert answer.media_type == "application/vnd.cyclonedx+json; version=1.6"
    found = validated(answer.document)
    model = found["metadata"]["component"]
    assert (model["type"], model["group"], model["name"]) == (
        "machine-learning-model",
        catalogue.parent.rpartition("/")[2],
        "fraud",
    )
    assert model["licenses"] == [{"expression": "Apache-2.0"}]
    (file,) = model["components"]
    listed = catalogue.api.artifacts.ListArtifacts(artifacts_pb2.ListArtifactsRequest(parent=made.name)).artifacts
    assert file["hashes"][0]["content"] == listed[0].digest.sha256
    assert model["modelCard"]["considerations"]["useCases"] == ["Payments"]
    assert model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0] == {
        "type": "auc",
        "value": "0.9",
        "slice": "q3, de",
    }
    purls = [each.get("purl") for each in found["components"] if each["type"] == "library"]
    assert purls == ["pkg:pypi/scikit-learn@1.5.2", "pkg:pypi/numpy", "pkg:conda/mkl"]
    assert [each["relation"] for each in relations(model)] == ["fine_tuned", "distilled"]
    data = [each for each in found["components"] if each["type"] == "data"]
    assert data[0]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert model["modelCard"]["modelParameters"]["datasets"] == [{"ref": f"data-{at}"} for at in (1, 2, 3)]
    assert bom(catalogue.api, made.name).document == answer.document
    later = json.loads(bom(catalogue.api, catalogue.update(made.name, "owner", owner="bob").name).document)
    assert later["serialNumber"] == found["serialNumber"]
    assert later["version"] > found["version"]


def relations(model):
    return [
        {each["name"].removeprefix("mreg:"): each["value"] for each in ancestor["properties"]}
        for ancestor in model["pedigree"]["ancestors"]
    ]


def test_a_version_with_nothing_in_it_has_a_bill_of_materials_too(catalogue):
    draft = catalogue.draft(catalogue.model(), card=m.ModelCard(license="our own"))
    found = validated(bom(catalogue.api, draft.name).document)
    assert found["metadata"]["component"]["licenses"] == [{"license": {"name": "our own"}}]
    refusal = refused(bom, catalogue.api, f"{draft.name}9")
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "VERSION_NOT_FOUND")
