"""A page ends by the number of its items, or by their size."""

from registry_grpc.services.pages import MAX_PAGE_BYTES, Page
from registry_grpc.services.paging import PageTokens
from registry_grpc.v1 import models_pb2

QUERY = PageTokens("registry").query("list")


def page(size):
    return Page(None, size, lambda: QUERY)


def key(item):
    return (item,)


def small(item):
    return models_pb2.Model(name=str(item))


def test_the_last_page_has_no_token():
    messages, token = page(3).close([1, 2, 3], key, small)
    assert [message.name for message in messages] == ["1", "2", "3"]
    assert token == ""


def test_one_more_than_a_page_says_where_the_next_begins():
    messages, token = page(2).close([1, 2, 3], key, small)
    assert [message.name for message in messages] == ["1", "2"]
    assert QUERY.after(token) == (2,)


def test_what_is_left_out_counts_as_seen():
    messages, token = page(2).close([1, 2, 3], key, lambda item: small(item) if item != 2 else None)
    assert [message.name for message in messages] == ["1"]
    assert QUERY.after(token) == (2,)


def test_large_items_end_a_page_early():
    def large(item):
        return models_pb2.Model(name=str(item), description="x" * (MAX_PAGE_BYTES // 2 - 100))

    messages, token = page(10).close([1, 2, 3, 4], key, large)
    assert [message.name for message in messages] == ["1", "2"]
    assert QUERY.after(token) == (2,)
    messages, token = page(10).close([3, 4], key, large)
    assert [message.name for message in messages] == ["3", "4"]
    assert token == ""


def test_an_item_too_large_for_a_page_comes_alone():
    messages, token = page(10).close([1, 2], key, lambda _: models_pb2.Model(description="x" * MAX_PAGE_BYTES))
    assert len(messages) == 1
    assert QUERY.after(token) == (1,)
