"""`mreg-fetch SRC DEST [SRC DEST …]`: a KServe storage initializer for `mreg://`, and a plain init container.

The registry and the caller's identity come from the `MREG_…` variables of the SDK; `MREG_TOKEN_FILE` may be a projected
service-account token, which is read again whenever it is renewed. Progress and errors are JSON lines on stderr.

Source: KServe's storage initializer protocol (ClusterStorageContainer), which calls the container with these arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from registry_grpc.cli.failures import ExitCode, exit_code
from registry_grpc.client.errors import FailedPrecondition, InvalidArgument, RegistryError
from registry_grpc.client.manifest import FileDigest
from registry_grpc.client.placing import WORK, begin, is_placed, place
from registry_grpc.client.references import SCHEME, parse_reference
from registry_grpc.client.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence


FLOATING = "?allow-floating=true"
SIGNATURES = ("Required", "IfPresent", "Off")


def allowed(text: str, *, may_float: bool) -> str:
    """The reference in an argument, without the `?allow-floating=true` that may stand behind it.

    Raises: InvalidArgument also for one that would stand for another version tomorrow, unless that is allowed.
    """
    bare = text.removesuffix(FLOATING)
    reference = parse_reference(bare)
    if reference.number is None and reference.digest is None and not may_float and bare == text:
        raise InvalidArgument(
            f"{bare} stands for another version after a promotion: pods of one revision could run different ones; "
            f"pin it, as `mreg resolve {bare}` prints it, or write {bare}{FLOATING}"
        )
    return bare


def main() -> None:
    """The program."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Fetch every pair; returns the exit code, which is that of `mreg` for the same failure."""
    options = _parser().parse_args(arguments)
    if len(options.pairs) % 2:
        _parser().error(f"takes pairs of SRC and DEST; {options.pairs[-1]!r} has no DEST")
    pairs = list(zip(options.pairs[::2], options.pairs[1::2], strict=True))
    try:
        wanted = [(allowed(text, may_float=options.allow_floating), Path(dest)) for text, dest in pairs]
        for source, dest in wanted:
            fetch(source, dest.absolute(), signature=options.signature)
    except RegistryError as error:
        facts = {"reason": error.reason, "request_id": error.request_id, **error.metadata}
        say("error", error.message, **{key: value for key, value in facts.items() if value})
        return exit_code(error)
    except OSError as error:
        say("error", f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))
        return ExitCode.ERROR
    return ExitCode.OK


def fetch(source: str, dest: Path, *, signature: str) -> None:
    """Have exactly the version `source` stands for in `dest`, every byte checked.

    `signature` is one of `SIGNATURES`. Files come through the cache when `MREG_CACHE_DIR` names one, and without a
    second copy when not.

    Raises: RegistryError; FailedPrecondition when `dest` holds anything else, IntegrityError for wrong bytes.
    """
    began = time.monotonic()
    shared = os.environ.get("MREG_CACHE_DIR")
    with Registry(cache_dir=shared or dest / WORK) as registry:
        answer = registry.resolve(source)
        require_signature(registry, answer.version, answer.manifest_digest, signature)
        listed = registry.list_artifacts(answer.version)
        files = [FileDigest(each.path, each.digest.sha256, each.digest.size_bytes) for each in listed]
        facts = {"source": source, "version": answer.version, "digest": answer.manifest_digest, "dest": str(dest)}
        if is_placed(dest, files):
            say("info", "already there", **facts)
            return
        begin(dest)
        pinned = f"{answer.version.split('/')[1]}:{answer.version.split('/')[3]}@{answer.manifest_digest}"
        place(registry.pull(pinned), dest, files, link=not shared)
    size = sum(file.size_bytes for file in files)
    say("info", "fetched", **facts, bytes=size, files=len(files), seconds=round(time.monotonic() - began, 3))


def require_signature(registry: Registry, version: str, manifest_digest: str, signature: str) -> None:
    """Ask the registry for what it holds of the signatures of `version`.

    Raises: FailedPrecondition when it has none and one is Required, or none of those it has is valid.
    """
    if signature == "Off" or (signature == "IfPresent" and not any(registry.signatures.list(version))):
        return
    if all(each.manifest_digest != manifest_digest for each in registry.signatures.require_valid(version)):
        raise FailedPrecondition(f"no valid signature of {version} is of its manifest digest {manifest_digest}")


def say(level: str, event: str, **facts: object) -> None:
    """One JSON line, as the server writes them."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"timestamp": stamp, "level": level, "event": event, **facts}
    sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mreg-fetch", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "pairs",
        nargs="+",
        metavar="SRC DEST",
        help=f"{SCHEME}project/model/7@sha256:… and a directory",
    )
    parser.add_argument(
        "--allow-floating",
        action="store_true",
        default=os.environ.get("MREG_ALLOW_FLOATING", "").lower() in {"1", "true", "yes"},
        help="take references by stage or alias (MREG_ALLOW_FLOATING)",
    )
    parser.add_argument(
        "--signature",
        choices=SIGNATURES,
        default=os.environ.get("MREG_SIGNATURE", "IfPresent"),
        help="of the version, as the registry verified it (MREG_SIGNATURE, IfPresent)",
    )
    return parser
