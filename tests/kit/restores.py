"""A registry that is put back to an older copy of itself, as from a backup, while those who use it go on."""

from pathlib import Path
from shutil import copytree, rmtree

from tests.kit.server import RegistryServer


def keep_copy(server: RegistryServer, copy: Path) -> Path:
    """Copy an embedded registry, which is stopped and started for it."""
    server.stop()
    copytree(server.data_dir, copy)
    server.start()
    return copy


def put_back(server: RegistryServer, copy: Path) -> None:
    """What came after the copy is lost; the server answers at the same place again."""
    server.kill()
    rmtree(server.data_dir)
    copytree(copy, server.data_dir)
    server.start()
