import io
import os
import subprocess
import sys

import psycopg

from _services import processes
from tests.kit import engines

# What takes a moment to end.
FAMILY = """
import os, time
for _ in range(4):
    if not os.fork():
        held = bytearray(40 << 20)
        break
os.write(1, b".")
time.sleep(10)
"""

# Who never stops starting children, as PostgreSQL does while its clients connect again. Its memory, in small pages,
# makes each start take milliseconds, in which a signal has been sent and has not arrived.
RESTLESS = """
import mmap, os, time
held = mmap.mmap(-1, 256 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
if hasattr(mmap, "MADV_NOHUGEPAGE"):
    held.madvise(mmap.MADV_NOHUGEPAGE)
held[::4096] = bytes(len(held) // 4096)
os.write(1, b".")
while True:
    if not os.fork():
        time.sleep(10)
        os._exit(0)
"""


def test_of_a_killed_engine_no_child_is_left_to_write_into_its_directory():
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.read(5) == b"....."
        family = {parent.pid, *processes.descendants(parent.pid)}
        assert len(family) == 5
        processes.kill_tree(parent.pid)
        assert family.isdisjoint(processes.living())


def test_a_child_started_while_its_engine_is_killed_is_not_left():
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", RESTLESS], stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        ) as parent:
            assert parent.stdout is not None
            assert parent.stdout.read(1) == b"."
            processes.kill_tree(parent.pid)
            # Every child holds the other end: it is closed once none is left, and as long as one is, nothing comes.
            os.set_blocking(parent.stdout.fileno(), False)
            assert parent.stdout.read(1) == b""


def test_each_test_gets_an_empty_database_of_its_own(postgres_url):
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchone() == (0,)


def test_each_test_gets_an_empty_bucket_of_its_own_whose_leftovers_are_removed(minio_bucket):
    client = minio_bucket.client()
    assert list(client.list_objects(bucket_name=minio_bucket.name)) == []
    client.put_object(
        bucket_name=minio_bucket.name,
        object_name="left/over",
        data=io.BytesIO(b"x"),
        length=1,
    )


def test_a_killed_postgres_comes_back_with_what_was_committed():
    with engines.private_postgres() as server:
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
            connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
        server.kill()
        assert not server.is_running()
        server.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (42,)


def test_a_killed_minio_comes_back_with_what_was_stored():
    with engines.private_minio() as server:
        bucket = engines.Bucket(server.endpoint, server.access_key, server.secret_key, "kept")
        bucket.client().make_bucket(bucket_name="kept")
        server.kill()
        assert not server.is_running()
        server.start()
        assert bucket.client().bucket_exists(bucket_name="kept")
