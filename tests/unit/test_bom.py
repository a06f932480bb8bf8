"""Bills of materials: whatever a version says, the document is one that CycloneDX's own schema takes."""

import json
import uuid
from datetime import UTC, datetime

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_grpc.domain import metadata as m
from registry_grpc.domain.artifacts import Artifact
from registry_grpc.domain.bom import bill_of_materials
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.names import VersionName
from registry_grpc.domain.resources import Version

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
NOW = datetime(2026, 11, 21, tzinfo=UTC)
NAME = VersionName("p", "m", 1)
said = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
text = st.just("") | said
uris = st.sampled_from(
    [
        "",
        "https://example.org/a?b=c#d",
        "https://example.org:99999/",
        "http://[::1",
        "https://a@b@c/",
        "git@example.org:x/y.git",
        "a label [with] marks",
        "s3://b/%zz",
        "https://example.org/%",
    ]
)
digests = st.sampled_from(["", "sha256:abc", f"sha256:{'a' * 64}", f"md5:{'0' * 32}", "git:4f2c", "blake3:00"])
licenses = text | st.sampled_from(["apache-2.0", "MIT OR (gpl-3.0-only AND bsd-3-clause)", "other", "((", "mit OR"])
cards = st.builds(
    m.ModelCard, text, text, text, text, text, st.lists(said).map(tuple), licenses, st.just(("en",)), text
)
provenance = st.builds(
    m.Provenance,
    st.none() | st.builds(m.TrainingRun, text),
    st.none() | st.builds(m.CodeRevision, uris, text, text),
    st.lists(st.builds(m.DatasetVersion, said, text, uris, digests, st.none() | st.sampled_from(m.DatasetRole))).map(
        tuple
    ),
    st.just(()),
    st.lists(st.builds(m.ParentModel, st.sampled_from(m.Relation), text, uris, digests)).map(tuple),
)
specs = st.lists(st.builds(m.TensorSpec, said, st.sampled_from(m.DataType), st.just((-1, 3)), st.booleans())).map(tuple)
metadata = st.builds(
    m.Metadata,
    st.none() | st.builds(m.Framework, said, text),
    text,
    text,
    text,
    st.none() | st.builds(m.Signature, specs, specs),
    st.none() | provenance,
    st.just(()),
    st.lists(st.builds(m.Dependency, said | st.sampled_from(["pypi", "conda"]), said, text, text)).map(tuple),
    st.lists(st.builds(m.Metric, said, st.floats(), text, text, text)).map(tuple),
)
versions = st.builds(
    Version,
    uid=st.uuids().map(str),
    model_uid=st.just("m"),
    name=st.just(NAME),
    owner=text,
    description=text,
    model_card=text,
    card=st.none() | cards,
    tags=st.dictionaries(said, text, max_size=3),
    metadata=metadata,
    create_time=st.just(NOW),
    update_time=st.just(NOW),
    revision=st.integers(0, 2**53),
)


def file(path, media_type="application/octet-stream"):
    return Artifact(
        version=NAME,
        version_uid="v",
        path=path,
        blob_uid="b",
        digest=Digest("a" * 64, 10),
        media_type=media_type,
        create_time=NOW,
        revision=1,
    )


files = st.none() | st.lists(
    st.builds(file, said, st.sampled_from(["text/plain", "Text/HTML; charset=utf-8", ""])), unique_by=lambda f: f.path
)


@settings(max_examples=60, deadline=None)
@given(versions, files)
def test_every_document_is_valid_and_made_alike_again(version, given_files):
    document = bill_of_materials(version, given_files)
    assert VALIDATOR.validate_str(document) is None
    assert bill_of_materials(version, given_files) == document
    found = json.loads(document)
    known = {each["bom-ref"] for each in found.get("components", [])}
    assert len(known) == len(found.get("components", []))
    assert set(found["dependencies"][0].get("dependsOn", [])) <= known


def test_a_schema_that_takes_everything_would_prove_nothing():
    version = Version(uid=str(uuid.uuid4()), model_uid="m", name=NAME, create_time=NOW, update_time=NOW)
    broken = json.loads(bill_of_materials(version, [])) | {"serialNumber": "urn:uuid:x"}
    assert VALIDATOR.validate_str(json.dumps(broken)) is not None
