"""A controller that cannot go on says so by ending."""

import threading

from prometheus_client import CollectorRegistry

from registry_grpc.controller.app import Controller, Scope
from registry_grpc.controller.kube import Kube
from registry_grpc.controller.kubeconfig import Access
from registry_grpc.controller.metrics import ControllerMetrics


class Broken(Kube):
    """A cluster that answers what no cluster does."""

    def list(self, *_):
        raise ZeroDivisionError


def made(kube):
    return Controller(kube, None, None, ControllerMetrics(CollectorRegistry()), Scope(("ns",)))


def test_a_defect_in_what_it_follows_by_ends_it():
    assert made(Broken(Access(server="https://127.0.0.1:1", namespace="ns"))).run(None) is False


def test_one_that_is_stopped_while_nobody_answers_ends_well():
    controller = made(Kube(Access(server="https://127.0.0.1:1", namespace="ns")))
    threading.Timer(0.3, controller.stop).start()
    assert controller.run(None) is True
