"""Multipart upload by `S3ArtifactStore` against `put_object` of the MinIO SDK, in interleaved rounds.

    .venv/bin/python -m tests.bench.artifacts_put [MiB] [rounds]

Prints the rate of each contender by round and the median of the ratios to the SDK. `hashed` is what the
registry does: whole and block digests as well. The first round only warms up and does not count.
"""

import io
import itertools
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from registry_grpc.domain.artifacts import BLOCK_BYTES, MIB, UploadPart
from registry_grpc.storage.artifacts.hashing import PartHasher
from registry_grpc.storage.artifacts.s3 import S3ArtifactStore
from tests.kit import engines

IN_FLIGHT = 2
serial = itertools.count()


def by_store(store: S3ArtifactStore, parts: list[list[bytes]], hasher: PartHasher | None) -> None:
    key = f"bench/{next(serial)}"
    upload = store.begin(key, {"upload-id": "bench"})

    def put(number: int, chunks: list[bytes]) -> UploadPart:
        size = sum(map(len, chunks))
        etag = store.put_part(key, upload, number, (number - 1) * BLOCK_BYTES, chunks, size)
        return UploadPart(number=number, size_bytes=size, etag=etag, block_digests=b"")

    with ThreadPoolExecutor(IN_FLIGHT) as threads:
        waiting = []
        for number, chunks in enumerate(parts, 1):
            if hasher:
                hasher.update(chunks)
            waiting.append(threads.submit(put, number, chunks))
        stored = [part.result() for part in waiting]
    store.complete(key, upload, stored)
    store.delete(key)


def by_sdk(bucket, data: bytes, in_flight: int) -> None:
    key = f"bench/{next(serial)}"
    bucket.client().put_object(
        bucket_name=bucket.name,
        object_name=key,
        data=io.BytesIO(data),
        length=len(data),
        part_size=BLOCK_BYTES,
        num_parallel_uploads=in_flight,
    )
    bucket.client().remove_object(bucket_name=bucket.name, object_name=key)


def main(size_mib: int, rounds: int) -> None:
    environment = engines.service_environment()
    names = ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY")
    with engines.fresh_bucket(*(environment[f"MREG_TEST_MINIO_{name}"] for name in names)) as bucket:
        store = S3ArtifactStore(
            bucket.endpoint,
            bucket.access_key,
            bucket.secret_key,
            bucket.name,
            secure=False,
            region="us-east-1",
        )
        data = os.urandom(size_mib * MIB)
        chunks = [data[at : at + MIB] for at in range(0, len(data), MIB)]
        per_part = BLOCK_BYTES // MIB
        parts = [chunks[at : at + per_part] for at in range(0, len(chunks), per_part)]
        contenders = {
            "sdk x2": lambda: by_sdk(bucket, data, IN_FLIGHT),
            "sdk x3 (default)": lambda: by_sdk(bucket, data, 3),
            "store": lambda: by_store(store, parts, None),
            "store hashed": lambda: by_store(store, parts, PartHasher()),
        }
        report(measure(contenders, size_mib, rounds))


def measure(contenders, size_mib: int, rounds: int) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    for number in range(rounds + 1):
        for name in order[number % len(order) :] + order[: number % len(order)]:
            cpu, started = time.process_time(), time.perf_counter()
            contenders[name]()
            seconds = time.perf_counter() - started
            if number:
                rates[name].append(size_mib * MIB / 1e6 / seconds)
                rates.setdefault(f"{name} CPU s/GB", []).append((time.process_time() - cpu) / (size_mib * MIB / 1e9))
    return rates


def report(rates: dict[str, list[float]]) -> None:
    for name, values in rates.items():
        shown = " ".join(f"{value:7.2f}" for value in values)
        ratios = [value / base for value, base in zip(values, rates["sdk x2"], strict=True)]
        tail = "" if "CPU" in name else f"   ratio to sdk x2: {statistics.median(ratios):.2f}"
        print(f"{name:28s} {shown}   median {statistics.median(values):7.2f}{tail}")


if __name__ == "__main__":
    main(*map(int, [*sys.argv[1:], *["256", "5"][len(sys.argv) - 1 :]]))
