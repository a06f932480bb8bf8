"""A database that comes back without the last commits, as after a failover, under servers that had read them."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.kit.catalogue import Catalogue
from tests.kit.engines import fresh_bucket, fresh_database, private_postgres
from tests.kit.refusals import Refusal, attempt
from tests.kit.server import distributed, running
from tests.kit.waiting import until

WITHIN_S = 30
MAX_STALENESS_S = 2.0


class Past:
    """A PostgreSQL that can be put back to where it was."""

    def __init__(self, postgres):
        self.postgres = postgres
        self.copy = postgres.directory.with_name("copy")

    def keep(self):
        """What it holds now is what it will be put back to."""
        self.postgres.stop()
        shutil.rmtree(self.copy, ignore_errors=True)
        # Not shutil: the files belong to the user PostgreSQL runs as.
        subprocess.run(["cp", "-a", str(self.postgres.directory), str(self.copy)], check=True)
        self.postgres.start()

    def put_back(self):
        """What came later is lost."""
        self.postgres.kill()
        shutil.rmtree(self.postgres.directory)
        subprocess.run(["cp", "-a", str(self.copy), str(self.postgres.directory)], check=True)
        (self.postgres.directory / "data" / "postmaster.pid").unlink(missing_ok=True)
        self.postgres.start()


@pytest.fixture
def place(service_environment):
    """Settings of servers, and the past of their database."""
    env = service_environment
    keys = (env["MREG_TEST_MINIO_ENDPOINT"], env["MREG_TEST_MINIO_ACCESS_KEY"], env["MREG_TEST_MINIO_SECRET_KEY"])
    with private_postgres() as postgres, fresh_database(postgres.url) as url, fresh_bucket(*keys) as bucket:
        yield distributed(url, bucket), Past(postgres)


def two_versions(server):
    """A model whose first version is in production, and its second in staging."""
    catalogue = Catalogue(server.api())
    model = catalogue.model()
    first, second = catalogue.ready(model), catalogue.ready(model)
    for version, stage in ((first, "production"), (second, "staging")):
        catalogue.bring(version.name, stage)
    return catalogue, model, first.name, second.name


def production_of_all(server, catalogue, model):
    """What the workers of a server say, each asked more than once: the kernel chooses one for every connection."""
    return {catalogue.on(server.api()).resolve(model, stage="production").version for _ in range(20)}


def until_done(work):
    """What `work` answers once the database is back."""
    return until(lambda: not isinstance(answer := attempt(work), Refusal) and answer, WITHIN_S)


def until_ended(server):
    """Wait until a server ended by itself; why, as it says."""
    assert server.process is not None
    until(lambda: server.process.poll() is not None, WITHIN_S)
    assert server.process.returncode not in {0, -signal.SIGKILL}
    assert "starts anew from what is there" in server.log
    server.kill()


@pytest.mark.promise("P05", "lost commits")
def test_a_server_that_read_what_is_lost_ends_and_does_not_go_on_telling_it(place):
    settings, past = place
    with running(settings) as server:
        catalogue, model, first, second = two_versions(server)
        past.keep()
        until_done(lambda: catalogue.promote(second, "production"))
        assert catalogue.resolve(model, stage="production").version == second
        past.put_back()
        back, late = time.monotonic(), []
        while server.process.poll() is None and time.monotonic() < back + WITHIN_S:
            answer = attempt(catalogue.resolve, model, stage="production")
            if time.monotonic() > back + MAX_STALENESS_S and not isinstance(answer, Refusal) and not answer.stale:
                late.append(answer.version)
        until_ended(server)
        assert second not in late
        server.start()
        assert catalogue.on(server.api()).resolve(model, stage="production").version == first


@pytest.mark.promise("P05", "lost commits")
@pytest.mark.parametrize("is_new", [False, True], ids=["followed", "read at the start"])
def test_a_server_ends_too_when_others_have_passed_its_revision_by_then(place, is_new):
    settings, past = place
    with running(settings) as server:
        catalogue, model, first, second = two_versions(server)
        past.keep()
        until_done(lambda: catalogue.promote(second, "production"))
        if is_new:
            server.stop()
            server.start()
            catalogue = catalogue.on(server.api())
        head = catalogue.revision()
        os.kill(server.process.pid, signal.SIGSTOP)
        past.put_back()
        with running(settings) as other:
            (other.data_dir / "admin.token").write_text(server.token)
            later = catalogue.on(other.api())
            assert later.resolve(model, stage="production").version == first
            until(lambda: later.model() and later.revision() > head, WITHIN_S)
            os.kill(server.process.pid, signal.SIGCONT)
            until_ended(server)
            server.start()
            assert catalogue.on(server.api()).resolve(model, stage="production").version == first
            assert other.process.poll() is None


@pytest.mark.promise("P05", "lost commits")
def test_workers_that_read_what_is_lost_are_started_anew_by_their_parent(place):
    settings, past = place
    with running(settings | {"workers": "2"}) as server:
        catalogue, model, first, second = two_versions(server)
        past.keep()
        until_done(lambda: catalogue.promote(second, "production"))
        until(lambda: production_of_all(server, catalogue, model) == {second}, WITHIN_S)
        past.put_back()
        until(lambda: server.log.count("a worker was started again") >= 2, WITHIN_S)
        assert production_of_all(server, catalogue, model) == {first}
        assert server.process.poll() is None


def test_a_database_that_is_away_or_killed_and_comes_back_whole_ends_nothing(place):
    settings, past = place
    with running(settings) as server:
        catalogue, model, first, _ = two_versions(server)
        for _ in range(3):
            past.postgres.kill()
            past.postgres.start()
            until_done(catalogue.model)
        past.keep()
        until_done(catalogue.model)
        assert catalogue.resolve(model, stage="production").version == first
        assert server.process.poll() is None
        assert "anew" not in server.log
