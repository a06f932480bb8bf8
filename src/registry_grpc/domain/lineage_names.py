"""Names of runs, and of the graph of a project."""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry_grpc.domain.names import ID_PATTERN, ProjectName, parts_of

RUN_ID_PATTERN = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?"
_RUN_ID = re.compile(RUN_ID_PATTERN)
_RUN = re.compile(rf"projects/(?P<project>{ID_PATTERN})/runs/(?P<run>{RUN_ID_PATTERN})")


def is_run_id(text: str) -> bool:
    """Whether `text` may be the id of a run."""
    return _RUN_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, order=True)
class RunName:
    """`projects/{project}/runs/{run}`."""

    project: str
    run: str

    FORM = "projects/{project}/runs/{run}"

    def __str__(self) -> str:
        return f"projects/{self.project}/runs/{self.run}"

    @classmethod
    def parse(cls, text: str, field: str = "name") -> RunName:
        """Raises: INVALID_RESOURCE_NAME."""
        found = parts_of(_RUN, text, field, cls.FORM)
        return cls(found["project"], found["run"])

    @property
    def parent(self) -> ProjectName:
        """Its project."""
        return ProjectName(self.project)


@dataclass(frozen=True, slots=True, order=True)
class LineageName:
    """`projects/{project}/lineage`: what links are part of."""

    project: str

    def __str__(self) -> str:
        return f"projects/{self.project}/lineage"
