"""The cases: read from YAML, expanded, and given the things they begin with."""

from __future__ import annotations

import copy
import hashlib
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from registry_grpc.client import Registry
from registry_grpc.v1 import access_pb2

HERE = Path(__file__).parent
FOR_THE_RUNNER = frozenset({"expect", "error", "files", "repeat", "skip"})
"""What a step says of its outcome; drivers never see it."""
_LONG = re.compile(r"\$\{repeat:(.+?):(\d+)\}")
_SHA256 = re.compile(r"\$\{sha256:([^:}]+)(?::(\d+):(\d+))?\}")
"""Of a file of the case, or of so many bytes of it from an offset."""
_BLOCK_BYTES = 1 << 20

Step = dict[str, Any]


@dataclass
class Case:
    """One case of a file. `given` is what is there before its first step."""

    name: str
    steps: list[Step]
    given: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)
    on: str = ""
    """The only deployment it is about; empty means each."""


def load() -> list[Case]:
    """Every case, in the order of files and of what stands in them; golden vectors behind."""
    cases = [
        Case(name=f"{path.stem}: {each['name']}", **{key: each[key] for key in each if key != "name"})
        for path in sorted((HERE / "cases").glob("*.yaml"))
        for each in yaml.safe_load(path.read_text())
    ]
    cases += vectors()
    names = [case.name for case in cases]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two cases are called {doubled}")
    for case in cases:
        case.steps = [step for given in case.steps for step in _repeated(given)]
    return cases


def vectors() -> list[Case]:
    """The golden vectors as cases."""
    references = yaml.safe_load((HERE / "references.yaml").read_text())
    manifests = yaml.safe_load((HERE / "manifests.yaml").read_text())
    good = [_reference_step(each) for each in references["valid"]]
    refused = {"kind": "InvalidArgument"}
    bad = [{"parse": text, "error": refused} for text in references["invalid"]]
    digests = [{"manifest": each["files"], "expect": {"digest": each["digest"]}} for each in manifests["manifests"]]
    ids = [{"artifact_id": each["path"], "expect": {"id": each["id"]}} for each in manifests["artifact_ids"]]
    paths = [{"check_paths": [path], "expect": {}} for path in manifests["valid_paths"]]
    paths += [{"check_paths": each, "expect": {}} for each in manifests["no_collisions"]]
    # JSON, and so a driver, has no way to write a path that is not Unicode.
    faulty = [path for path in manifests["invalid_paths"] if not re.search("[\ud800-\udfff]", path)]
    faults = [{"check_paths": [path], "error": refused} for path in faulty]
    faults += [{"check_paths": each, "error": refused} for each in manifests["collisions"]]
    return [
        Case("vectors: references", good),
        Case("vectors: what is no reference", bad),
        Case("vectors: manifest digests", digests),
        Case("vectors: artifact ids", ids),
        Case("vectors: paths", paths),
        Case("vectors: bad paths", faults),
    ]


def _reference_step(vector: dict[str, Any]) -> Step:
    expected = {key: vector.get(key) for key in ("model", "number", "pointer", "digest", "endpoint")}
    if expected["number"] is not None:
        expected["number"] = str(expected["number"])
    project = vector.get("default_project", "default")
    return {
        "parse": vector["text"],
        "project": project,
        "expect": expected | {"project": vector.get("project", "default")},
    }


def _repeated(step: Step) -> Iterator[Step]:
    for number in range(1, step.get("repeat", 1) + 1):
        yield filled(copy.deepcopy(step), {"i": str(number)}) if "repeat" in step else step


def filled(value: Any, known: dict[str, str]) -> Any:
    """`value` with what is known put in, and long strings made long."""
    if isinstance(value, dict):
        return {filled(key, known): filled(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, known) for inner in value]
    if not isinstance(value, str):
        return value
    for name, text in known.items():
        value = value.replace("${" + name + "}", text)
    value = _SHA256.sub(lambda found: _sha256(Path(known["files"], found[1]), found[2], found[3]), value)
    return _LONG.sub(lambda found: found[1] * int(found[2]), value)


def _sha256(file: Path, offset: str | None, length: str | None) -> str:
    if offset is None or length is None:
        return sha256_of(file)
    with file.open("rb") as content:
        content.seek(int(offset))
        return hashlib.sha256(content.read(int(length))).hexdigest()


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def prepare(case: Case, registry: Registry, project: str, place: Path) -> dict[str, str]:
    """Make what a case begins with; returns its variables."""
    registry.create_project(project)
    known = {"project": f"projects/{project}", "pid": project, "files": str(place / "files"), "scratch": str(place)}
    # Of its own each time: the registry remembers them.
    known |= {f"uuid{number}": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{project}/{number}")) for number in range(1, 10)}
    for directory, files in case.files.items():
        for path, content in files.items():
            write(place / "files" / directory / path, content)
    (place / "files").mkdir(parents=True, exist_ok=True)
    for model in case.given.get("models", []):
        known[model] = registry.create_model(f"{project}:{model}").name
    for model, count in case.given.get("ready", {}).items():
        for number in range(1, count + 1):
            file = place / "given" / model / str(number) / "model.txt"
            write(file, f"{model} {number}")
            made = registry.push(f"{project}:{model}", file, metrics={"auc": number / 10}, force_new=True)
            known[f"{model}{number}"] = made.name
            known[f"{model}{number}.digest"] = made.manifest_digest
        known[model] = f"projects/{project}/models/{model}"
    for account, roles in case.given.get("accounts", {}).items():
        request = access_pb2.CreateServiceAccountRequest(parent=f"projects/{project}", service_account_id=account)
        registry.connection.write(registry.connection.stubs.access.CreateServiceAccount, request)
        known[account] = _token(registry, project, f"serviceAccount:{project}/{account}", roles)
    for person, roles in case.given.get("people", {}).items():
        known[person] = _token(registry, project, f"user:{person}", roles)
    return known


def _token(registry: Registry, project: str, principal: str, roles: list[str]) -> str:
    """A token of somebody who gets these roles in the project."""
    stubs, connection = registry.connection.stubs.access, registry.connection
    for role in roles:
        binding = access_pb2.RoleBinding(role=role, members=[principal])
        request = access_pb2.CreateRoleBindingRequest(parent=f"projects/{project}", role_binding=binding)
        connection.write(stubs.CreateRoleBinding, request)
    return connection.write(stubs.IssueToken, access_pb2.IssueTokenRequest(principal=principal)).secret


def write(path: Path, content: str | dict[str, Any]) -> None:
    """A file of a text, or of `size` incompressible bytes that `seed` decides."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content)
        return
    left, number = int(content["size"]), 0
    block = hashlib.shake_256(str(content.get("seed", "")).encode()).digest(_BLOCK_BYTES)
    with path.open("wb") as file:
        while left > 0:
            # Every block differs, so that nothing on the way can deduplicate.
            file.write((number.to_bytes(8, "big") + block[8:])[:left])
            left, number = left - _BLOCK_BYTES, number + 1
