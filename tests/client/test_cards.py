"""Model cards as files, comparison and bills of materials, by the SDK."""

import json
import math
import time
import uuid

import pytest
import yaml

from registry_grpc.client import Conflict, InvalidArgument, NotFound
from registry_grpc.client.cards import card_markdown, read_card, write_card
from registry_grpc.client.yaml_text import load_yaml
from registry_grpc.v1 import metadata_pb2, versions_pb2

HUGGING_FACE = """---
license: other
license_name: our-own
language:
- en
- no
tags: [tabular]
datasets: tx
extra: {version: 1.10, when: 2026-99-99, flag: yes}
---
# Fraud

Finds fraud.

## Uses

Payments of shops.

### Direct use

Only there.

```python
## Limitations
```

## How to get started

`pip install fraud`

## Bias, Risks, and Limitations

Few rows.

## Model Card Contact

- ann@example.org
* Team Risk
"""


def test_a_card_of_hugging_face_is_read_into_its_parts():
    found = read_card(HUGGING_FACE)
    assert found.card.license == "our-own"
    assert list(found.card.languages) == ["en", "no"]
    assert found.card.intended_use.startswith("Payments of shops.\n\n### Direct use")
    assert found.card.intended_use.endswith("## Limitations\n```")
    assert found.card.limitations == "Few rows."
    assert list(found.card.contacts) == ["ann@example.org", "Team Risk"]
    assert found.markdown == "# Fraud\n\nFinds fraud.\n\n## How to get started\n\n`pip install fraud`"


def test_a_card_that_goes_out_comes_in_again_as_it_was():
    version = versions_pb2.ModelVersion(
        name="projects/p/models/fraud/versions/3",
        model_card="# Fraud\n\nAbout it.",
        task="tabular-classification",
        tags={"team": "risk", "new": ""},
        framework=metadata_pb2.Framework(name="xgboost"),
        metrics=[
            metadata_pb2.Metric(name="auc", value=0.9, dataset="q3", dataset_version="1", slice="de"),
            metadata_pb2.Metric(name="nan", value=math.nan),
        ],
        provenance=metadata_pb2.Provenance(
            training_data=[metadata_pb2.DatasetVersion(name="tx")],
            parents=[metadata_pb2.ParentModel(relation=1, uri="hf:org/base")],
        ),
        card=metadata_pb2.ModelCard(
            intended_use="Payments\n\n### Sub\n\n- x",
            limitations="Few",
            ethical_considerations="Harm",
            training_data="Rows",
            evaluation="Well",
            contacts=["ann@example.org"],
            license="apache-2.0",
            languages=["en"],
            citation="@misc{x}",
        ),
    )
    text = write_card(version)
    again = read_card(text)
    assert again.card == version.card
    assert again.markdown == version.model_card
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["language"] == "en"
    assert (front["base_model"], front["datasets"], front["tags"]) == (["org/base"], ["tx"], ["new", "team:risk"])
    assert front["model-index"][0]["name"] == "fraud"
    assert front["model-index"][0]["results"][0]["dataset"] == {
        "name": "q3",
        "type": "q3",
        "revision": "1",
        "split": "de",
    }
    assert read_card(card_markdown(version)).card.limitations == "Few"
    assert write_card(versions_pb2.ModelVersion(model_card="Only this")) == "Only this\n"
    assert read_card("") == read_card("\n\n")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("---\na: &a [x, x, x]\nb: [*a, *a]\n---\n", r"alias \*a"),
        ("---\n" + "[" * 51 + "]" * 51 + "\n---\n", "nested deeper than 50"),
        ("---\n" + "[" * 100_000 + "\n---\n", "nested deeper than 50"),
        ("---\n[" + "x," * 60_000 + "]\n---\n", "more than 50000 nodes"),
        ("---\n- a\n---\n", "holds no fields"),
        ("---\na: [\n---\n", "is no YAML"),
        ("---\n? [a]\n: b\n---\n", "is no YAML"),
        ("x" * (1 << 20) + "x", "the limit is 1048576"),
    ],
)
def test_row_73_yaml_that_is_built_to_hurt_is_refused(text, complaint):
    with pytest.raises(InvalidArgument, match=complaint):
        read_card(text)


def test_row_73_markdown_that_is_built_to_hurt_is_read_at_once():
    began = time.thread_time()
    for text in ("# " + " " * 1_000_000 + "x", "#" * 1_000_000, "# " + "# " * 400_000, "---\n" + "---   x\n" * 100_000):
        assert read_card(text).markdown == text.strip()
    assert time.thread_time() - began < 5.0


def test_yaml_makes_nothing_but_texts():
    text = "a: !!python/object/apply:os.system ['true']\nb: no\nc: 1.10\nd: 2026-99-99\ne: !!binary x"
    assert load_yaml(text, "x") == {"a": ["true"], "b": "no", "c": "1.10", "d": "2026-99-99", "e": "x"}
    assert load_yaml("", "x") is None
    with pytest.raises(InvalidArgument, match="the limit is"):
        load_yaml("x" * (1 << 20) + "x", "x")


@pytest.fixture
def model(registry, tree):
    name = f"m-{uuid.uuid4().hex[:8]}"
    for auc in (0.8, 0.9):
        registry.push(
            name,
            tree,
            metrics=[{"name": "auc", "value": auc, "direction": "maximise"}],
            card={"limitations": "Few", "languages": ["en"]},
        )
    return name


def test_parts_of_a_card_change_and_nobody_loses_a_change(registry, model):
    before = registry.get_version(f"{model}/1")
    changed = registry.set_card(f"{model}/1", intended_use="All", languages=["de"], markdown="# M")
    assert changed.card == metadata_pb2.ModelCard(intended_use="All", limitations="Few", languages=["de"])
    assert changed.model_card == "# M"
    assert registry.card(f"{model}/1") == changed.card
    cleared = registry.set_card(f"{model}/1", limitations="", languages=[])
    assert cleared.card == metadata_pb2.ModelCard(intended_use="All")
    assert cleared.model_card == "# M"
    with pytest.raises(Conflict):
        registry.set_card(f"{model}/1", limitations="x", etag=before.etag)
    with pytest.raises(InvalidArgument, match="no field 'color'"):
        registry.set_card(f"{model}/1", color="red")
    assert registry.import_card(f"{model}@latest", HUGGING_FACE).card.license == "our-own"
    assert not registry.update_version(f"{model}/1", card=None).HasField("card")


def test_versions_are_compared_by_any_reference(registry, model):
    found = registry.compare(f"{model}/1", f"{model}@latest")
    assert [each.number for each in found.versions] == [1, 2]
    assert found.metrics[0].cells[1].delta == pytest.approx(0.1)
    assert found.metrics[0].cells[1].better
    only = registry.compare(f"{model}/1", f"{model}/2", differences_only=True)
    assert {row.field for row in only.fields} == set()
    registry.create_project(f"p-{model}")
    copy = registry.copy_version(f"{model}/1", registry.create_model(f"p-{model}:other").name)
    (files,) = registry.compare(f"{model}/1", copy.name).files
    assert (files.same_count, len(files.changed), files.shared_bytes) == (4, 0, copy.total_size_bytes)
    with pytest.raises(InvalidArgument, match="at least two"):
        registry.compare(f"{model}/1")
    with pytest.raises(NotFound):
        registry.compare(f"{model}/1", f"{model}/99")


def test_a_bill_of_materials_is_cyclonedx(registry, model):
    document = json.loads(registry.bom(f"{model}@latest"))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert len(document["metadata"]["component"]["components"]) == 4
