"""What the rows of usage must say, counted by plain SQL with nothing of the registry in between."""

from typing import Any

from tests.promises.uploads.world import World

SAID = "SELECT stored_bytes, reserved_bytes, models, versions, open_uploads FROM project_usage WHERE project = '{0}'"
COUNTED = """
SELECT
  (SELECT COALESCE(SUM(size_bytes), 0) FROM blob WHERE project = '{0}' AND state IN ('live', 'damaged')),
  (SELECT COALESCE(SUM(size_bytes), 0) FROM upload WHERE project = '{0}' AND state IN ('active', 'finalizing')),
  (SELECT COUNT(*) FROM model WHERE project = '{0}' AND delete_time IS NULL),
  (SELECT COUNT(*) FROM version JOIN model ON model.uid = version.model_uid WHERE version.project = '{0}'
     AND version.delete_time IS NULL AND model.delete_time IS NULL),
  (SELECT COUNT(*) FROM upload WHERE project = '{0}' AND state IN ('active', 'finalizing'))
"""


def said(place: World, project: str) -> tuple[int, ...]:
    """The row of the project: stored and reserved bytes, models, versions, open uploads."""
    return _numbers(place.rows(SAID.format(project)))


def counted(place: World, project: str) -> tuple[int, ...]:
    """The same from the tables it counts."""
    return _numbers(place.rows(COUNTED.format(project)))


def _numbers(rows: list[tuple[Any, ...]]) -> tuple[int, ...]:
    return tuple(int(number) for number in rows[0])
