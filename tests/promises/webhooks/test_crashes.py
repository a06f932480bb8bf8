"""An event that was committed is delivered though the server dies: before, between and after every step of it."""

import contextlib
import re
import time

import grpc
import pytest

from tests.kit.catalogue import Catalogue
from tests.kit.deployments import distributed_settings
from tests.kit.receiver import receiving
from tests.kit.server import running
from tests.kit.waiting import metric, until
from tests.promises.webhooks.hooks import LOOPBACK, Hooks, require_one_id_for_each_event, revisions

STEPS = ("dispatch.before", "dispatch.after", "claim.before", "claim.after", "sent")
WRITES = 6
TAKEN_OVER_S = 90.0
"""The lease of a dead server ends after 15 s, its claims after 20 s."""


class Killed:
    """A server that dies at one step of its second delivery or so, with a webhook and writers."""

    def __init__(self, stack, step):
        self.step = f"webhook.{step}"
        self.receiver = stack.enter_context(receiving())
        self.server = stack.enter_context(running(LOOPBACK, failpoints=f"{self.step}=kill@2"))
        catalogue = Catalogue(self.server.api())
        self.hooks = Hooks(catalogue)
        self.hooks.create(self.receiver.url)
        self.written = {catalogue.model(): [] for _ in range(2)}
        for turn in range(WRITES):
            self.write(f"{turn}")

    def write(self, text):
        """Change both models. Of a server that is dead only what it acknowledged before counts."""
        for model, told in self.written.items():
            with contextlib.suppress(grpc.RpcError):
                told.append(self.hooks.touch(model, text).revision)

    def come_back(self):
        """Start again, and write once more."""
        deadline = time.monotonic() + 30
        while self.server.process.poll() is None:
            assert time.monotonic() < deadline, self.step
            # On a busy machine all that was written so far may have been put in line at once: one step, not two.
            time.sleep(0.2)
            self.write("more")
        assert self.server.fired[self.step] == 1
        self.server.kill()
        self.server.failpoints = ""
        # Its ports may be somebody else's by now: many servers connect here at once.
        self.server.port = self.server.metrics_port = 0
        self.server.start()
        project = next(iter(self.written)).split("/")[1]
        hooks = Hooks(Catalogue(self.server.api(), project))
        for model, told in self.written.items():
            told.append(hooks.touch(model, "back").revision)

    def arrived(self):
        got = revisions(self.receiver.taken())
        return all(set(told) <= set(got[model]) for model, told in self.written.items())


def test_what_was_committed_arrives_once_and_in_order_wherever_the_server_was_killed():
    with contextlib.ExitStack() as stack:
        killed = [Killed(stack, step) for step in STEPS]
        for each in killed:
            each.come_back()
        for each in killed:
            until(each.arrived, within_s=TAKEN_OVER_S)
            got = each.receiver.taken()
            for told in revisions(got).values():
                assert told == sorted(told), each.step
            require_one_id_for_each_event(got)
            again = len(got) - len({one.id for one in got})
            # Only what was sent and not yet written down may come again.
            assert again <= (4 if each.step == "webhook.sent" else 0), each.step


def leads(server):
    return re.search(r'"delivery to webhooks moved".*"leads": true', server.log)


@pytest.mark.timeout(180)
def test_the_other_replica_takes_over_from_one_that_is_killed(service_environment):
    with contextlib.ExitStack() as stack:
        settings = stack.enter_context(distributed_settings(service_environment)) | LOOPBACK
        receiver = stack.enter_context(receiving())
        first = stack.enter_context(running(settings, failpoints="webhook.claim.after=kill@3"))
        until(lambda: leads(first), within_s=20)
        second = stack.enter_context(running(settings))
        catalogue = Catalogue(second.api(first.token))
        hooks = Hooks(catalogue)
        made = hooks.create(receiver.url)
        written = {catalogue.model(): [] for _ in range(3)}
        for turn in range(10):
            for model, told in written.items():
                told.append(hooks.touch(model, f"{turn}").revision)
        first.process.wait(30)
        assert not leads(second)

        def arrived():
            got = revisions(receiver.taken())
            return all(set(told) <= set(got[model]) for model, told in written.items())

        until(arrived, within_s=TAKEN_OVER_S)
        assert leads(second)
        for told in revisions(receiver.taken()).values():
            assert told == sorted(told)
        require_one_id_for_each_event(receiver.taken())
        until(lambda: hooks.get(made.webhook.name).pending_deliveries == 0, within_s=20)
        delivered = metric(second.metrics_port, "registry_webhook_attempts_total", outcome="delivered")
        assert delivered >= len(receiver.taken()) - 8
        assert metric(second.metrics_port, "registry_webhook_delay_seconds_count") == delivered
