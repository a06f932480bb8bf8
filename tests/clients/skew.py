"""Clients of an earlier contract against the server of this tree: `python -m tests.clients.skew COMMIT [LANGUAGE…]`.

The default is the contract before its last change. Cases that ask for what that contract does not have are left out.
Clients know services by name, so a contract that lacks one of them is too old to build them from.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from tests.conformance.__main__ import EMBEDDED, deployed, report
from tests.conformance.cases import Case, load
from tests.conformance.running import LANGUAGES, ROOT, run

PACKAGE = "registry_grpc.v1"
GENERATED = {"python": "scripts/gen", "go": "clients/go/generate"}
"""Of languages whose generated code is committed; the others make it when they build."""


def main() -> int:
    """0 when every case that the earlier contract can ask passed in each language."""
    commit = (
        sys.argv[1] if len(sys.argv) > 1 else _git("log", "-1", "--format=%H^", "--", "proto/registry_grpc").strip()
    )
    with tempfile.TemporaryDirectory(prefix="mreg-skew-") as directory, deployed(EMBEDDED) as place:
        tree = Path(directory)
        _export("HEAD", ".", tree)
        shutil.rmtree(tree / "proto/registry_grpc")
        _export(commit, "proto/registry_grpc", tree)
        (tree / ".venv").symlink_to(ROOT / ".venv")
        known = _contract(tree)
        cases = [case for case in load() if _can_be_asked(case, known)]
        print(f"{len(cases)} of {len(load())} cases, contract of {_git('log', '-1', '--format=%h %s', commit).strip()}")
        rows = []
        for language in sys.argv[2:] or LANGUAGES:
            if language in GENERATED:
                subprocess.run([tree / GENERATED[language]], cwd=tree, check=True, stdout=subprocess.DEVNULL)
            rows.append((language, "the contract before", run(language, cases, place, tree), 0.0))
    report(rows)
    return int(any(result.failures for *_, results, _ in rows for result in results))


def _export(commit: str, path: str, tree: Path) -> None:
    """Put what a commit has at a path into a tree."""
    archive = subprocess.run(["git", "archive", commit, path], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(tree, filter="data")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def _contract(tree: Path) -> descriptor_pool.DescriptorPool:
    """The descriptors of the earlier contract."""
    subprocess.run([tree / "scripts/buf", "baseline"], cwd=tree, check=True)
    files = descriptor_pb2.FileDescriptorSet.FromString((tree / "proto/baseline.binpb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


def _can_be_asked(case: Case, known: descriptor_pool.DescriptorPool) -> bool:
    """Whether all its requests, and what it expects, are in the contract."""
    return all(_fits(step, known) for step in case.steps)


def _fits(step: dict[str, Any], known: descriptor_pool.DescriptorPool) -> bool:
    method = step.get("call") or step.get("all")
    try:
        if method is not None:
            found = known.FindMethodByName(f"{PACKAGE}.{method}")
            _parse(step.get("request", {}), found.input_type)
        if "version" in step:
            _parse(step["version"], known.FindMessageTypeByName(f"{PACKAGE}.ModelVersion"))
    except KeyError:
        return False
    except json_format.ParseError as error:
        # Values stand for themselves only once variables are put in; what matters here is which fields there are.
        return "no field named" not in str(error)
    return True


def _parse(given: dict[str, Any], kind: Any) -> None:
    json_format.ParseDict(given, message_factory.GetMessageClass(kind)())


if __name__ == "__main__":
    sys.exit(main())
