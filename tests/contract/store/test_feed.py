import threading

from registry_grpc.domain.events import Action
from tests.contract.store.builders import add_model, at_once, change, model


def three(unit, revision):
    for name in "abc":
        unit.record(Action.CREATED, model(name, revision=revision))


def test_a_page_never_cuts_a_revision(store):
    change(store, three)
    change(store, three)

    def page(after, limit):
        return store.read(lambda reader: [(one.revision, one.index) for one in reader.feed.after(after, limit)])

    assert page(0, 2) == [(1, 0)]
    assert page(1, 1) == [(2, 0), (2, 1), (2, 2)]
    assert page(1, 3) == [(2, 0), (2, 1), (2, 2)]
    assert page(1, 4) == [(2, 0), (2, 1), (2, 2)]
    assert page(1, 6) == [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)]
    assert page(3, 6) == []


def test_one_revision_is_read_whole_and_alone(store):
    change(store, three)
    change(store, three)

    def at(revision):
        return store.read(lambda reader: [(one.revision, one.index) for one in reader.feed.at(revision)])

    assert at(1) == [(1, 0)]
    assert at(2) == [(2, 0), (2, 1), (2, 2)]
    assert at(0) == at(4) == []


def test_a_poller_by_revision_sees_every_event_once_and_in_order_under_concurrent_commits(store):
    seen = []
    done = threading.Event()

    def poll():
        last = False
        while not last:
            last = done.is_set()
            after = seen[-1] if seen else 0
            found = store.read(lambda reader, after=after: reader.feed.after(after, 100))
            seen.extend(one.revision for one in found)
            # A poller that never rests holds the interpreter for a whole switch interval at every call of the writers.
            done.wait(0.001)

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        at_once(16, lambda thread: [add_model(store, f"m{thread}-{n}") for n in range(30)])
    finally:
        done.set()
        poller.join()
    assert seen == list(range(1, 482))
