"""One stream of chunks: how it becomes parts, which failure is told, and what a cancel leaves alone."""

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor

import google_crc32c
import pytest

from registry_grpc.domain.artifacts import BLOCK_BYTES, UploadState
from registry_grpc.domain.calls import Call, Principal
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ModelName, UploadName
from registry_grpc.services.upload_stream import MAX_EMPTY_CHUNKS, UploadStream
from registry_grpc.services.uploads import Uploads
from registry_grpc.services import context as contexts
from registry_grpc.storage.artifacts.faults import unavailable
from registry_grpc.storage.sql import SqlStore
from registry_grpc.v1 import artifacts_pb2 as pb
from registry_grpc.v1 import common_pb2
