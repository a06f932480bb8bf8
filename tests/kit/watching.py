"""What a watch must be, judged against the log itself."""

import threading
from itertools import groupby

import sqlalchemy

from registry_grpc.client.watch import Kind
from tests.kit.waiting import until

SHOWN = {"project", "model", "version", "pointer", "artifact"}


class Follower:
    """Collects the changes of a watch in a thread of its own."""

    def __init__(self, watch, *, slow_s=0.0):
        self.watch, self.changes, self.error = watch, [], None
        self._slow = threading.Event()
        self._slow_s = slow_s
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self):
        try:
            for change in self.watch:
                self.changes.append(change)
                if self._slow_s:
                    self._slow.wait(self._slow_s)
        except Exception as error:  # noqa: BLE001 - judged by the test
            self.error = error

    def __enter__(self):
        return self.synced()

    def __exit__(self, *_):
        self.close()

    def events(self, **which):
        """Events that came, with these fields."""
        found = [change.event for change in list(self.changes) if change.kind is Kind.EVENT]
        return [one for one in found if all(getattr(one, name) == value for name, value in which.items())]

    def synced(self):
        until(lambda: self.error or any(change.kind is Kind.SYNCED for change in list(self.changes)), 30)
        return self

    def hurry(self):
        """From now on as fast as it can."""
        self._slow.set()
        self._slow_s = 0.0

    def reached(self, revision, within_s=60):
        until(lambda: self.error or any(change.revision >= revision for change in list(self.changes)), within_s)

    def close(self):
        self._slow.set()
        self.watch.close()
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def told(self):
        """(revision, name, action) of each event, as they came."""
        found = [change for change in list(self.changes) if change.kind is Kind.EVENT]
        return [(change.revision, change.event.name, change.event.action) for change in found]

    @property
    def begun(self):
        """Revision of the state it began with."""
        return next(change.revision for change in self.changes if change.kind is Kind.SYNCED)


def logged(url):
    """(revision, number of events) of every revision that a watch shows, from the table itself."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(
            sqlalchemy.text("SELECT revision, resource_type FROM event ORDER BY revision, idx")
        ).all()
    engine.dispose()
    return {
        revision: sum(kind in SHOWN for _, kind in group) for revision, group in groupby(rows, key=lambda row: row[0])
    }


def require_ordered(told):
    """No event comes after one of a later revision."""
    revisions = [revision for revision, _, _ in told]
    assert revisions == sorted(revisions)


def require_complete_unique_and_atomic(told, log, begun, upto):
    """Every revision the log has behind the beginning came, whole, once."""
    came = {revision: len(list(group)) for revision, group in groupby(told, key=lambda one: one[0])}
    expected = {revision: count for revision, count in log.items() if begun < revision <= upto and count}
    assert {revision: count for revision, count in came.items() if revision <= upto} == expected
