"""Catalogues for the tests of search: versions and models with whatever a filter may ask for."""

import random
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from registry_grpc.domain.deployments import Deployment, DeploymentState, Place, deployment_name
from registry_grpc.domain.metadata import (
    CodeRevision,
    DatasetVersion,
    DataType,
    Dependency,
    Direction,
    Format,
    Framework,
    Metadata,
    Metric,
    ModelCard,
    Parameter,
    ParentModel,
    Provenance,
    Relation,
    Signature,
    TensorSpec,
    TrainingRun,
)
from registry_grpc.domain.resources import Model, Version, VersionState
from registry_grpc.ports.store import Store
from tests.contract.store.builders import SECOND, TIME, alias, model, version
from tests.kit.filtering import Found

LONG = "x" * 300
"""Longer than what an index takes of a text."""
NAN, INFINITE = float("nan"), float("inf")
WORDS = ("", "a", "ab", "A", "b%", "a_", "é", "*", LONG, LONG + "a", LONG + "b")
TEXTS = ("", "A fraud model", "leaves the shop", "Überweisung by card")
FORMATS = (Format("onnx", False, "m.onnx", 1), Format("pickle", True, "m.pkl", 1))
KEYS = ("t1", "t2", "app.io/x")


@dataclass(frozen=True)
class Held:
    """What is in the store."""

    models: tuple[Model, ...]
    versions: tuple[Found, ...]


def filled(store: Store, seed: int, models: int = 3, versions: int = 40) -> Held:
    """A store with random models `m1`…, versions, aliases and deployments."""
    r = random.Random(seed)

    def work(unit: Any) -> Held:
        revision = unit.advance("tests")
        made = [replace(random_model(r, f"m{at}"), revision=revision) for at in range(1, models + 1)]
        for each in made:
            unit.models.insert(each)
        found = []
        for at in range(versions):
            of = r.choice(made)
            number = sum(each.version.model_uid == of.uid for each in found) + 1
            one = replace(random_version(r, of, number), revision=revision)
            unit.versions.insert(one)
            runs = [random_deployment(r, one, at) for _ in range(r.random() < 0.3)]
            for run in runs:
                unit.deployments.put(replace(run, revision=revision))
            if r.random() < 0.2:
                name = r.choice(("x", "y")) + str(at)
                unit.pointers.put(replace(alias(of, name, one), revision=revision))
                one = replace(one, aliases=(name,))
            found.append(Found(one, runs))
        return Held(tuple(made), tuple(found))

    return store.write(work).get()


def random_model(r: random.Random, model_id: str, project: str = "default") -> Model:
    """A model with random fields."""
    return model(
        model_id,
        project,
        owner=r.choice(("", "ann", "bob")),
        tags=_tags(r),
        display_name=r.choice(TEXTS),
        description=r.choice(TEXTS),
        create_time=TIME + r.randrange(3) * SECOND,
        update_time=TIME + r.randrange(3) * SECOND,
    )


def random_version(r: random.Random, of: Model, number: int, **values: Any) -> Version:
    """A version with random fields."""
    given = {
        "state": r.choice(list(VersionState)),
        "owner": r.choice(("", "ann", "bob")),
        "creator": r.choice(("", "user:ada")),
        "tags": _tags(r),
        "description": r.choice(TEXTS),
        "model_card": r.choice(TEXTS),
        "card": _card(r),
        "metadata": _metadata(r),
        "formats": tuple(r.sample(FORMATS, r.randrange(3))),
        "create_time": TIME + timedelta(days=r.randrange(4)),
        "update_time": TIME + r.randrange(3) * SECOND,
        "finalize_time": r.choice((None, TIME, TIME + SECOND)),
        "version_label": f"l{number}" if r.random() < 0.5 else "",
        "total_size_bytes": r.randrange(3),
        "copied_from": r.choice(("", "projects/p/models/m/versions/1")),
    }
    return version(of, number, **(given | values))


def _card(r: random.Random) -> ModelCard | None:
    languages = tuple(r.sample(("de", "en", "pt-BR"), r.randrange(3)))
    card = ModelCard(r.choice(TEXTS), license=r.choice(("", "mit", "apache-2.0")), languages=languages)
    return r.choice((None, card))


def _tags(r: random.Random) -> dict[str, str]:
    return {key: r.choice(WORDS) for key in r.sample(KEYS, r.randrange(3))}


def _metadata(r: random.Random) -> Metadata:
    return Metadata(
        framework=r.choice((None, Framework("pytorch", "2.1"), Framework("sklearn"))),
        algorithm=r.choice(("", "gb", "forest")),
        task=r.choice(WORDS),
        metrics=tuple(_metric(r) for _ in range(r.randrange(4))),
        parameters=tuple(_parameter(r, name) for name in sorted(r.sample(("depth", "flag", "lr"), r.randrange(3)))),
        dependencies=tuple(
            Dependency(r.choice(("pypi", "conda")), r.choice(("numpy", "scipy")), r.choice(("", "1.2", "2.0")))
            for _ in range(r.randrange(3))
        ),
        provenance=r.choice((None, _provenance(r))),
        signature=r.choice((None, Signature(inputs=(TensorSpec("age", DataType.FLOAT32),)))),
    )


def _metric(r: random.Random) -> Metric:
    return Metric(
        r.choice(("auc", "auc", "f1")),
        r.choice((-0.5, 0.1, 0.5, 0.9, NAN, INFINITE)),
        dataset=r.choice(("", "q3")),
        dataset_version=r.choice(("", "2026")),
        slice=r.choice(("", "de")),
        direction=r.choice((None, Direction.MAXIMISE, Direction.MINIMISE)),
        measure_time=r.choice((None, TIME, TIME + SECOND)),
    )


def _parameter(r: random.Random, name: str) -> Parameter:
    values = ({"double": 0.1}, {"int64": 3}, {"boolean": True}, {"text": "true"}, {"text": LONG}, {"double": NAN})
    return Parameter(name, **r.choice(values))


def _provenance(r: random.Random) -> Provenance:
    return Provenance(
        code=CodeRevision("repo", r.choice(("abc", "def"))),
        training_run=TrainingRun(id=r.choice(("", "run-1"))),
        training_data=tuple(DatasetVersion("tx", v, digest="sha256:aa") for v in r.sample(("7", "8"), r.randrange(3))),
        parents=r.choice(((), (ParentModel(Relation.FINE_TUNED, uri="hf:x/y"),))),
    )


ATOMS = (
    *("state=ready", "state!=draft", "owner=ann", "owner!=ann", "owner:*", "owner:n", "owner=b*", "owner!=a*"),
    *("creator:ada", "framework=pytorch", "framework!=pytorch", "framework:tor", 'framework=""', "framework:*"),
    *("framework.version=2.*", "algorithm=f*", "algorithm!=f*", "algorithm=*", "algorithm!=*", 'task!=""'),
    *("task=a*", 'task="b%"', 'task:"_"', f'task="{LONG}"', f'task:"{LONG}b"', 'task="\\*"', "task=é"),
    *("tags.t1=a", "tags.t1!=a", "tags.t1=a*", "tags.t1:a", "tags:t1", "tags:t*", "tags.t1:*", 'tags.t1=""'),
    *(f'tags.t1="{LONG}"', f'tags.t1!="{LONG}"', f'tags.t1="{LONG}b"', f'tags.t1="{LONG}*"', f'tags.t1!="{LONG}b*"'),
    *('tags."app.io/x"=a', "tags.app:*", "metrics.auc>0.4", "metrics.auc!=0.5", "metrics.auc:*", "metrics:auc"),
    *("metrics:a*", "metrics.auc<=-0.5", 'metric("auc","q3")>=0.5', 'metric("auc","q3@2026","de")<1'),
    *('metric("f1","@2026")>0', "parameters.lr=0.1", "parameters.lr>1", "parameters.flag=true"),
    *("parameters.flag!=true", 'parameters.flag="true"', "parameters.depth:*", "parameters:d*", "parameters.lr<=3"),
    *(f'parameters.lr="{LONG}"', "parameters.lr!=x", "dependencies.numpy=1.*", "dependencies:numpy"),
    *("dependencies.numpy!=2.0", 'dependencies.scipy=""', "training_data:tx", 'training_data="tx@7"'),
    *("training_data:sha256*", "training_data!=tx", 'parents:"hf:x/y"', "inputs:age", "inputs.age=float32"),
    *("inputs.age!=float32", "outputs:age", "number>3", "number!=1", "number<=2", "create_time>2026-01-03"),
    *("finalize_time:*", 'finalize_time>="2026-01-02T03:04:06Z"', "finalize_time!=2026-01-01", "executable"),
    *("executable=false", "executable!=true", "deployed", "deployed=false", "deployments.environment=prod"),
    *("deployments.state=serving", "deployments.cluster!=c1", "code.revision=abc", "code.revision!=abc"),
    *(
        "run.id:*",
        "formats:onnx",
        "formats=p*",
        "aliases=x*",
        "aliases!=y3",
        "NOT aliases:*",
        "label:*",
        "project=default",
        "model=m1",
        "model=m*",
    ),
    *("card.license=mit", "card.license!=mit", "card.license:*", "card.license:ap", "card.languages:de"),
    *("card.languages!=en", "card.languages=pt*", "card.languages:*"),
    *("description:fraud", "description:*", 'stage=""', "copied_from:*", "total_size_bytes>=1"),
)
MODEL_ATOMS = (
    *("project=default", "model=m1", "model!=m1", "model=m*", "display_name:fraud", "owner=ann", "owner!=ann"),
    *("owner:*", "description:shop", "description=A*", "tags.t1=a", "tags.t1!=a", "tags:t*", "tags.t2:*"),
    *(f'tags.t1="{LONG}b"', f'tags.t1="{LONG}*"', 'create_time>"2026-01-02T03:04:06Z"', "update_time:*"),
    *("delete_time:*", 'creator=""'),
)


def random_deployment(r: random.Random, of: Version, number: int) -> Deployment:
    """Something that runs, or ran, a version."""
    place = Place(environment=r.choice(("prod", "test")), cluster=r.choice(("", "c1")), workload=f"w{number}")
    return Deployment(
        uid=str(uuid.uuid4()),
        name=deployment_name(of.name.parent, place),
        version=of.name,
        version_uid=of.uid,
        model_uid=of.model_uid,
        manifest_digest="",
        follow_time=TIME,
        place=place,
        state=r.choice(list(DeploymentState)),
        state_time=TIME,
        start_time=TIME,
        heartbeat_time=TIME,
        reporter="user:ada",
        create_time=TIME,
        update_time=TIME,
    )
