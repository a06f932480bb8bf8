"""The private PostgreSQL, MinIO and Kubernetes API that tests, benches and the demo run against.

Standard library only, because it runs before the virtual environment exists. Nothing here knows the
registry. `scripts/services` is the command; tests load the same classes for instances of their own,
which they may kill and restart.
"""

from _services.engine import EngineError
from _services.kubernetes import KubernetesServices
from _services.minio import MinioServer
from _services.postgres import PostgresServer
from _services.shared import SharedServices

__all__ = ["EngineError", "KubernetesServices", "MinioServer", "PostgresServer", "SharedServices"]
