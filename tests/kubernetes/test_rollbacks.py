"""A rollout that fails goes back to the last good version, tells the registry, and is not tried again by itself."""

from registry_grpc.client.watch import Kind
from tests.kit.waiting import metric, until

FAILED, SERVING = 5, 3


def serving(here, model, kind="Deployment", **spec):
    """A model whose first version runs."""
    version = here.push(model, "one")
    here.workload(model, kind)
    here.deploy(model, kind, **spec)
    here.controller()
    here.until_applied(model, version, kind)
    here.roll_out(model, kind)
    here.until_condition(model, "Serving")
    return version


def states(here, model):
    return {each.version.rpartition("/")[2]: each.state for each in here.registry.deployments.list(model)}


def test_a_failed_rollout_goes_back_to_the_last_good_version_and_stays_there(here):
    model = "failing"
    first = serving(here, model)
    with here.registry.watch(model, types=["Deployment"]) as changes:
        assert any(change.kind is Kind.SYNCED for change in changes)
        second = here.push(model, "two")
        here.until_applied(model, second)
        here.fail(model)
        here.until_applied(model, first)
        told = (change.event.deployment for change in changes)
        assert any((each.version, each.state) == (second.name, FAILED) for each in told)
    here.roll_out(model)
    message = here.until_condition(model, "RolloutFailed")
    assert "version 2 failed to roll out: pods crash" in message
    until(lambda: states(here, model) == {"1": SERVING}, 30)
    status = here.deployment(model)["status"]
    assert [each["outcome"] for each in status["history"]] == ["RolledBack", "Failed", "Complete"]
    assert (status["applied"]["version"], status["failed"]["version"]) == (1, 2)
    assert ("Warning", "RolloutFailed") in here.events(model)
    generation = here.found(model)["metadata"]["generation"]
    # It does not loop: when it has looked a few times more, nothing was written.
    looked = looks(here)
    until(lambda: looks(here) >= looked + 3, 60)
    assert here.found(model)["metadata"]["generation"] == generation
    assert here.uri(model) == first.location


def looks(here):
    return metric(here.controllers[0].metrics_port, "registry_controller_reconciles_total", result="done")


def test_the_version_after_a_failed_one_comes_in(here):
    model = "recovering"
    first = serving(here, model)
    second = here.push(model, "two")
    here.until_applied(model, second)
    here.fail(model)
    here.until_applied(model, first)
    here.roll_out(model)
    third = here.push(model, "three")
    here.until_applied(model, third)
    here.roll_out(model)
    here.until_condition(model, "Serving")
    assert "failed" not in here.deployment(model)["status"]


def test_without_a_rollback_a_failed_version_stays_and_is_told(here):
    model = "left"
    serving(here, model, rollout={"rollbackOnFailure": False})
    second = here.push(model, "two")
    here.until_applied(model, second)
    here.fail(model)
    here.until_condition(model, "Failed", "Progressing")
    until(lambda: states(here, model) == {"2": FAILED}, 30)
    assert here.uri(model) == second.location


def test_the_first_version_has_nothing_to_go_back_to(here):
    model = "first"
    first = here.push(model, "one")
    here.workload(model)
    here.deploy(model)
    here.controller()
    here.until_applied(model, first)
    here.fail(model)
    here.until_condition(model, "Failed", "Progressing")
    assert here.uri(model) == first.location


def test_a_deadline_of_the_spec_fails_what_has_none_of_its_own(here):
    model = "late"
    first = serving(here, model, "StatefulSet", rollout={"progressDeadline": "2s"})
    second = here.push(model, "two")
    here.until_applied(model, second, "StatefulSet")
    here.until_applied(model, first, "StatefulSet")
    assert "not complete after 2 s" in here.deployment(model)["status"]["failed"]["message"]


def test_the_history_is_bounded(here):
    model = "storied"
    here.push(model, "0", stage="")
    here.workload(model)
    here.deploy(model)
    here.controller()
    for at in range(12):
        here.until_applied(model, here.push(model, f"weights {at}"))
    history = until(lambda: (at := here.deployment(model)["status"]["history"])[0]["version"] == 13 and at, 30)
    assert [each["version"] for each in history] == [*range(13, 3, -1)]
