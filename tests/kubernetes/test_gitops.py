"""Mode Resolve: the version is told to whoever deploys it, and nothing is written into workloads."""

from tests.kit.waiting import until


def test_the_status_tells_the_pinned_version(here):
    model = "told"
    version = here.push(model, "one")
    here.deploy(model, None, mode="Resolve")
    here.controller()
    here.until_condition(model, "Serving")
    applied = here.deployment(model)["status"]["applied"]
    assert (applied["uri"], applied["digest"], applied["version"]) == (version.location, version.manifest_digest, 1)
    assert not [*here.registry.deployments.list(model)]


def test_a_config_map_follows_the_stage_and_belongs_to_its_model_deployment(here):
    model = "mapped"
    here.push(model, "one")
    made = here.deploy(model, None, mode="Resolve", configMap={"name": "model-of-fraud"})
    here.controller()
    until(lambda: here.exists("model-of-fraud", "ConfigMap"), 30)
    second = here.push(model, "two")
    until(lambda: here.found("model-of-fraud", "ConfigMap")["data"]["version"] == "2", 30)
    found = here.found("model-of-fraud", "ConfigMap")
    assert found["data"] == {
        "uri": second.location,
        "version": "2",
        "digest": second.manifest_digest,
        "model": model,
    }
    assert [each["uid"] for each in found["metadata"]["ownerReferences"]] == [made["metadata"]["uid"]]


def test_what_must_be_signed_is_not_told_before_it_is(here):
    model = "untold"
    here.push(model, "one")
    here.deploy(model, None, mode="Resolve", verify={"signature": "Required"}, configMap={"name": "untold"})
    here.controller()
    here.until_condition(model, "SignatureMissing")
    assert "applied" not in here.deployment(model)["status"]
    assert not here.exists("untold", "ConfigMap")
