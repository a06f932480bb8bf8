import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.services.masks import fields_to_create, fields_to_update
from registry_grpc.services.paging import PageTokens, page_size
from registry_grpc.v1 import models_pb2, versions_pb2

TOKENS = PageTokens("registry-a")


def query(*parts):
    return TOKENS.query("ModelService.ListModels", *parts)


def test_a_token_brings_its_key_back():
    mine = query("projects/p", "user:ada")
    assert mine.after("") is None
    assert mine.after(mine.token("fraud", 7)) == ("fraud", 7)


def test_a_token_of_another_query_or_registry_is_refused():
    token = query("projects/p", "user:ada").token("fraud")
    others = [
        query("projects/q", "user:ada"),
        query("projects/p", "user:eve"),
        query('projects/p", "user:ada'),
        PageTokens("registry-b").query("ModelService.ListModels", "projects/p", "user:ada"),
    ]
    for other in others:
        with pytest.raises(RegistryError) as caught:
            other.after(token)
        assert caught.value.reason is Reason.INVALID_PAGE_TOKEN


@pytest.mark.parametrize("change", ["", "x", "é", "=" * 5, "A" * 4000])
def test_an_altered_token_is_refused(change):
    mine = query()
    with pytest.raises(RegistryError):
        mine.after(mine.token("fraud")[:-3] + change)


def test_page_sizes():
    assert [page_size(n) for n in (0, 1, 1000, 2**31 - 1)] == [50, 1, 1000, 1000]
    with pytest.raises(RegistryError, match="page_size"):
        page_size(-1)


VERSION = versions_pb2.ModelVersion(name="n", uid="u", owner="ada", version_label="1", etag="e")


def mask(*paths):
    return FieldMask(paths=paths)


def test_an_empty_mask_takes_what_is_populated_and_mutable():
    assert fields_to_update(VERSION, mask()) == {"owner"}
    assert fields_to_create(VERSION) == {"owner", "version_label"}


def test_a_star_takes_every_mutable_field():
    fields = fields_to_update(models_pb2.Model(), mask("*"))
    assert fields == {"display_name", "description", "owner", "tags", "annotations"}


def test_named_paths_are_taken_even_when_empty():
    assert fields_to_update(VERSION, mask("description", "etag")) == {"description"}


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        (["nope"], Reason.INVALID_UPDATE_MASK),
        (["uid"], Reason.INVALID_UPDATE_MASK),
        (["state"], Reason.INVALID_UPDATE_MASK),
        (["framework.name"], Reason.INVALID_UPDATE_MASK),
        (["*", "owner"], Reason.INVALID_UPDATE_MASK),
        (["owner"] * 101, Reason.INVALID_UPDATE_MASK),
        ([""], Reason.INVALID_UPDATE_MASK),
        (["version_label"], Reason.IMMUTABLE_FIELD),
    ],
)
def test_paths_that_cannot_be_updated_are_refused(paths, reason):
    with pytest.raises(RegistryError) as caught:
        fields_to_update(VERSION, mask(*paths))
    assert caught.value.reason is reason
