"""Whose an upload is. It belongs to whoever started it; to others it does not exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import PolicyError, Reason, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry_grpc.domain.artifacts import Upload
    from registry_grpc.domain.names import UploadName


@dataclass(frozen=True, slots=True)
class Uploader:
    """Who asks for an upload. May be asked from any thread, without waiting."""

    name: str
    require: Callable[[str], object]
    """Refuses a model, by its name, in which the caller may not do what it is about to.

    Raises: PERMISSION_MISSING.
    """
    administers: Callable[[str], bool]
    """Whether uploads of others into a model are the caller's business too."""

    def own(self, upload: Upload | None, name: UploadName) -> Upload:
        """The upload, when it is there and the caller's.

        Raises: UPLOAD_NOT_FOUND, the same for one of somebody else; PERMISSION_MISSING.
        """
        if upload is None:
            raise _absent(name)
        model = str(upload.version.parent)
        if upload.creator != self.name and not self.administers(model):
            raise PolicyError.as_if(_absent(name))
        self.require(model)
        return upload


def _absent(name: UploadName) -> RegistryError:
    return RegistryError(Reason.UPLOAD_NOT_FOUND, f"{name} does not exist", resource=name)
