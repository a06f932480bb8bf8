import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_grpc.domain.events import Change
from registry_grpc.domain.metadata import (
    CodeRevision,
    DataType,
    Direction,
    Framework,
    Metadata,
    Metric,
    Parameter,
    ParentModel,
    PreprocessingStep,
    Provenance,
    Relation,
    Signature,
    TensorSpec,
    TrainingRun,
)
from registry_grpc.domain.names import ModelName
from registry_grpc.domain.resources import Model
from registry_grpc.storage.sql.documents import LABELS, METADATA, RESOURCES, resource_type

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
int64s = st.integers(-(2**63), 2**63 - 1)
MICROSECOND = timedelta(microseconds=1)
doubles = st.floats(allow_nan=True, allow_infinity=True)
times = st.integers(0, 253_000_000_000_000_000).map(
    lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + micros * MICROSECOND
)
parameters = st.one_of(
    st.builds(Parameter, texts, double=doubles),
    st.builds(Parameter, texts, int64=int64s),
    st.builds(Parameter, texts, boolean=st.booleans()),
    st.builds(Parameter, texts, text=texts),
)


def several(values):
    return st.lists(values, max_size=3).map(tuple)


def perhaps(values):
    return st.none() | values


codes = st.builds(CodeRevision, texts, texts, texts, st.booleans())
tensors = st.builds(TensorSpec, texts, st.sampled_from(DataType), several(int64s), st.booleans())
provenances = st.builds(
    Provenance,
    training_run=perhaps(st.builds(TrainingRun, texts, texts, perhaps(times), perhaps(times), texts)),
    code=perhaps(codes),
    preprocessing=several(st.builds(PreprocessingStep, texts, texts, perhaps(codes), several(parameters))),
    parents=several(st.builds(ParentModel, st.sampled_from(Relation), texts, texts, texts)),
)
metrics = st.builds(
    Metric,
    name=texts,
    value=doubles,
    slice=texts,
    direction=perhaps(st.sampled_from(Direction)),
    measure_time=perhaps(times),
)
metadata = st.builds(
    Metadata,
    framework=perhaps(st.builds(Framework, texts, texts)),
    task=texts,
    signature=perhaps(st.builds(Signature, several(tensors), several(tensors))),
    provenance=perhaps(provenances),
    parameters=several(parameters),
    metrics=several(metrics),
)


@given(metadata)
def test_metadata_comes_back_exactly_with_every_bit_of_its_numbers(value):
    text = METADATA.encode(value)
    # Unlike ==, repr takes NaN for itself and tells -0.0 from 0.0.
    assert repr(METADATA.decode(text)).replace("TzInfo(0)", "datetime.timezone.utc") == repr(value)
    assert METADATA.encode(METADATA.decode(text)) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 0.1])
def test_extreme_numbers_are_kept(value):
    back = METADATA.decode(METADATA.encode(Metadata(metrics=(Metric("m", value),)))).metrics[0].value
    assert back == value or (math.isnan(back) and math.isnan(value))


def test_the_text_names_its_form_and_an_unknown_form_is_refused():
    assert LABELS.encode({"a": "\x00"}) == '[1,{"a":"\\u0000"}]'
    with pytest.raises(ValueError, match="Input should be 1"):
        LABELS.decode('[2,{"a":"b"}]')


def test_resources_come_back_by_their_type():
    time = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    model = Model(uid="u", name=ModelName("p", "m"), create_time=time, update_time=time)
    assert resource_type(model) == "model"
    assert RESOURCES["model"][1].decode(RESOURCES["model"][1].encode(model)) == model
    with pytest.raises(TypeError):
        resource_type(Change)
