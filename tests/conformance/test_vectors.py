"""The vectors that hold the server's domain and the Python client together; other clients read the same files."""

from pathlib import Path

import pytest
import yaml

from registry_grpc.client import errors
from registry_grpc.client import manifest as client_manifest
from registry_grpc.client import references as client_references
from registry_grpc.domain import artifacts, digests, references
from registry_grpc.domain.errors import RegistryError

HERE = Path(__file__).parent
REFERENCES = yaml.safe_load((HERE / "references.yaml").read_text())
MANIFESTS = yaml.safe_load((HERE / "manifests.yaml").read_text())


def in_domain(text, default_project):
    found = references.parse_reference(text, default_project)
    return found.model.project, found.model.model, found.number, found.digest, found.pointer, found.endpoint


def in_client(text, default_project):
    found = client_references.parse_reference(text, default_project)
    return found.project, found.model, found.number, found.digest, found.pointer, found.endpoint


@pytest.mark.parametrize("parse", [in_domain, in_client])
@pytest.mark.parametrize("case", REFERENCES["valid"], ids=lambda case: case["text"])
def test_a_reference_means_the_same_everywhere(parse, case):
    expected = tuple(case.get(part) for part in ("model", "number", "digest", "pointer", "endpoint"))
    assert parse(case["text"], case.get("default_project", "default")) == (case.get("project", "default"), *expected)


@pytest.mark.parametrize("parse", [in_domain, in_client])
@pytest.mark.parametrize("text", REFERENCES["invalid"])
def test_what_is_no_reference_is_refused_everywhere(parse, text):
    with pytest.raises((RegistryError, errors.InvalidArgument)):
        parse(text, "default")


@pytest.mark.parametrize("case", MANIFESTS["manifests"], ids=lambda case: case["name"])
def test_a_manifest_digest_is_the_same_everywhere(case):
    files = case["files"]
    ours = client_manifest.manifest_digest(client_manifest.FileDigest(**file) for file in files)
    theirs = digests.manifest_digest((f["path"], digests.Digest(f["sha256"], f["size_bytes"])) for f in files)
    assert ours == theirs == case["digest"]


@pytest.mark.parametrize("case", MANIFESTS["artifact_ids"], ids=lambda case: case["path"])
def test_an_artifact_id_is_the_same_everywhere(case):
    assert client_manifest.artifact_id(case["path"]) == digests.artifact_id(case["path"]) == case["id"]


@pytest.mark.parametrize("path", MANIFESTS["valid_paths"])
def test_a_good_path_is_good_everywhere(path):
    artifacts.check_path(path)
    assert client_manifest.path_fault(path) == ""


@pytest.mark.parametrize("path", MANIFESTS["invalid_paths"])
def test_a_bad_path_is_bad_everywhere(path):
    with pytest.raises(RegistryError):
        artifacts.check_path(path)
    assert client_manifest.path_fault(path)


@pytest.mark.parametrize("paths", MANIFESTS["collisions"])
def test_paths_that_collide_collide_everywhere(paths):
    with pytest.raises(RegistryError):
        artifacts.TakenPaths(paths[1:]).check(paths[0])
    assert client_manifest.collision(paths)
    assert client_manifest.collision(reversed(paths))


@pytest.mark.parametrize("paths", MANIFESTS["no_collisions"])
def test_paths_that_do_not_collide_do_so_nowhere(paths):
    artifacts.TakenPaths(paths[1:]).check(paths[0])
    assert client_manifest.collision(paths) == ""
