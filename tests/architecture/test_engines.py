import io
import os
import signal
import subprocess
import sys
import uuid

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

# Who never stops starting children, as PostgreSQL does while its clients connect again.
RESTLESS = """
import os, time
os.write(1, b".")
while True:
    if not os.fork():
        time.sleep(60)
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
        marker = uuid.uuid4().hex
        with subprocess.Popen(
            [sys.executable, "-c", RESTLESS, marker], stdout=subprocess.PIPE, start_new_session=True
        ) as parent:
            assert parent.stdout is not None
            assert parent.stdout.read(1) == b"."
            processes.kill_tree(parent.pid)
        left = [pid for pid in processes.living() if processes.is_running(pid, marker)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert left == []


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
