"""The demo from its temporary directory to its exit code."""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from pathlib import Path

from _demo.controller import Controller
from _demo.deployment import Deployment, deployed
from _demo.fleet import Deployer, drift, report, watched
from _demo.page import DemoError, heading, say
from _demo.release import compare, promote_to_production, push_both, take_over
from _demo.review import guarded
from _demo.training import DATASET, Split, load_data, train_both
from registry_grpc.client import Registry, RegistryError
from registry_grpc.v1.versions_pb2 import ModelVersion

MODEL = "tumour"


def run(store: str) -> int:
    """0 when every step was checked and held."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="registry-demo-") as directory:
            _tell(store, Path(directory))
    except RegistryError as error:
        print(f"\ndemo failed: the registry answered {error.reason or error.code.name}: {error}", file=sys.stderr)
        return 1
    except (DemoError, OSError) as error:
        print(f"\ndemo failed: {error}", file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 -- whatever it was, the last line says so in words
        traceback.print_exc()
        print(f"\ndemo failed, and not in a way it knows: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"\nEverything was checked and held, in {time.monotonic() - began:.1f} s. What it made is removed.")
    if store == "minio":
        print("PostgreSQL and MinIO stay up for the next run; `scripts/services stop` ends them.")
    return 0


def _tell(store: str, work: Path) -> None:
    heading(1, "Start a registry")
    with deployed(store, work) as deployment:
        say(f"`mreg serve` takes calls on {deployment.endpoint}. Metadata: {deployment.metadata_place}.")
        say(f"Bytes: {deployment.bytes_place}. The admin token is in a file only this user can read.")
        with Registry(deployment.endpoint, token_file=deployment.token_file, cache_dir=work / "cache") as registry:
            _release_and_serve(registry, deployment, work)


def _release_and_serve(registry: Registry, deployment: Deployment, work: Path) -> None:
    heading(2, "Train two models")
    data = load_data()
    models = train_both(data, work)
    rows = ", ".join(f"{len(split.labels)} {split.name}" for split in (data.train, data.validation, data.test))
    say(f"Data: {DATASET}, {data.version}, rows: {rows}.")
    say(f"Trained {models[0].algorithm} and {models[1].algorithm} with fixed seeds; saved model, card and signature.")

    heading(3, "Push both")
    versions = push_both(registry, MODEL, models, data)

    heading(4, "Compare what the registry holds of them")
    better, other = compare(registry, versions)

    with watched(deployment, MODEL, work) as deployer, guarded(registry, deployment, work) as reviewer:
        controller = _serve(registry, reviewer, deployment, deployer, (better, other), data.test)
        heading(9, f"What `mreg watch {MODEL}@production --exec ./deploy.sh` was run for, in order")
        deployer.show([better.name, other.name, better.name])

    heading(10, "What happened, from the registry's history")
    controller.show_history()

    heading(11, "Where the bytes are")
    controller.show_bytes(deployment)


def _serve(
    registry: Registry,
    reviewer: Registry,
    deployment: Deployment,
    deployer: Deployer,
    versions: tuple[ModelVersion, ModelVersion],
    rows: Split,
) -> Controller:
    """Production is given to the better one, to the other, and back."""
    better, other = versions
    heading(5, "Promote the better one: development, staging, production")
    promote_to_production(registry, reviewer, better)
    deployer.wait(1)

    heading(6, "Serve production, as a controller does")
    controller = Controller(registry, MODEL, rows)
    first = controller.reconcile()
    controller.require_runs(better)
    report(registry, MODEL, better.name)
    drift(deployment, MODEL, expected=False)

    heading(7, "Promote the other one, and see Resolve move")
    take_over(registry, reviewer, other, better)
    deployer.wait(2)
    drift(deployment, MODEL, expected=True)
    second = controller.reconcile()
    controller.require_runs(other)
    report(registry, MODEL, other.name)

    heading(8, "Roll back")
    reason = f"accuracy on held-out rows {second.accuracy:.4f}, before {first.accuracy:.4f}"
    answer = registry.rollback(MODEL, "production", expected=other.number, reason=reason)
    say(f"Production was given back: version {other.number} left, version {answer.stage.version_number} returned.")
    again = controller.reconcile()
    controller.require_runs(better)
    controller.require_same(first, again)
    report(registry, MODEL, better.name)
    drift(deployment, MODEL, expected=False)
    return controller
