"""The schema of what is said of pods, and of the programs beside the server."""

from __future__ import annotations

from _chart.shapes import (
    QUANTITY,
    Schema,
    flag,
    group,
    key,
    listed,
    name,
    number,
    passed_on,
    port,
    resources,
    text,
    texts,
)

_WHEN = ("ScheduleAnyway", "DoNotSchedule")
_LEVELS = ("debug", "info", "warning", "error")


def pod_security() -> dict[str, Schema]:
    """Restricted by default."""
    seccomp = group("", type=text(""), localhostProfile=text(""))
    whole = {"type": "integer"}
    common = {"runAsNonRoot": flag(""), "runAsUser": whole, "runAsGroup": whole, "seccompProfile": seccomp}
    texts_of = listed("", {"type": "string"})
    return {
        "podSecurityContext": group(
            "Of every pod; the defaults fit the restricted profile.",
            fsGroup=whole,
            fsGroupChangePolicy=text(""),
            supplementalGroups=listed("", whole),
            seLinuxOptions=texts(""),
            **common,
        ),
        "securityContext": group(
            "Of every container; the defaults fit the restricted profile.",
            allowPrivilegeEscalation=flag(""),
            readOnlyRootFilesystem=flag(""),
            privileged=flag(""),
            capabilities=group("", add=texts_of, drop=texts_of),
            **common,
        ),
    }


def pods() -> dict[str, Schema]:
    """Where and how many."""
    toleration = group(
        "",
        key=text(""),
        operator=text(""),
        value=text(""),
        effect=text(""),
        tolerationSeconds={"type": "integer"},
    )
    return {
        "autoscaling": group(
            "Replicas by load.",
            enabled=flag("Make the autoscaler."),
            minReplicas=number("Fewest.", 1),
            maxReplicas=number("Most.", 1),
            cpuPercent=number("Of the CPU asked for, to aim at.", 1, 100),
            uploadsInProgress=number("Uploads of a replica to aim at; needs a metrics adapter. 0: not looked at."),
        ),
        "podDisruptionBudget": group(
            "Of the servers; none in mode `embedded`.",
            enabled=flag("Make it."),
            maxUnavailable={"type": ["integer", "string"], "pattern": r"^[0-9]+%$"}
            | {"description": "Replicas that a drain may take at once."},
        ),
        "topologySpread": group(
            "Replicas on different hosts and in different zones.",
            enabled=flag("Ask for it."),
            hostWhenUnsatisfiable=text("When there is no other host.", choices=_WHEN),
            zoneWhenUnsatisfiable=text("When there is no other zone.", choices=_WHEN),
        ),
        "resources": resources("Of a server."),
        "tmpSizeLimit": text("Most that is written to `/tmp`.", pattern=QUANTITY),
        "podAnnotations": texts("Further annotations of the server's pods."),
        "podLabels": texts("Further labels of the server's pods."),
        "nodeSelector": texts("Nodes for all pods."),
        "tolerations": listed("Taints all pods bear.", toleration),
        "affinity": group(
            "Affinity of the server's pods.",
            nodeAffinity=passed_on(),
            podAffinity=passed_on(),
            podAntiAffinity=passed_on(),
        ),
        "priorityClassName": name("Priority of all pods."),
        "extraEnv": listed(
            "Further variables of the server.", group("", name=text(""), value=text(""), valueFrom=passed_on())
        ),
        "extraVolumes": listed("Further volumes of the server.", passed_on()),
        "extraVolumeMounts": listed("Where they are mounted.", passed_on()),
        "extraManifests": listed("Further objects; templates in them are filled in.", passed_on()),
    }


def monitoring() -> Schema:
    """What the Prometheus operator and Grafana read."""
    labels = texts("Further labels, by which yours finds it.")
    return group(
        "Metrics, alerts, dashboard; the first two need the CRDs of the Prometheus operator.",
        serviceMonitor=group(
            "Scraping.",
            enabled=flag("Make it."),
            interval=text("How often; the rules want 30s or less.", pattern=r"^[0-9]+s$"),
            labels=labels,
        ),
        prometheusRule=group("The rules of `slo/rules.yaml`.", enabled=flag("Make it."), labels=labels),
        dashboards=group(
            "The dashboard, for Grafana's sidecar.",
            enabled=flag("Make it."),
            labels=labels,
            annotations=texts("Annotations, as that of the folder."),
        ),
    )


def controller() -> Schema:
    """`mreg controller`."""
    return group(
        "What brings stages into the cluster, see docs/kubernetes.md.",
        enabled=flag("Run it."),
        replicas=number("One leads.", 1),
        namespaces=listed("Namespaces it works in; all when empty.", name("")),
        environment=text("Name of the environment in reports.", pattern=r"^\S+$"),
        cluster=text("Name of this cluster in reports."),
        endpoint=text("Another registry than this one."),
        caSecret=name("Secret with the authorities of the registry's certificate."),
        caKey=key("Key in it."),
        tokenSecret=name("Secret with its token; a projected token when empty."),
        tokenKey=key("Key in it."),
        audience=text("Audience of the projected token.", pattern=r"^\S+$"),
        metricsPort=port("`/metrics` and probes."),
        logLevel=text("Least level that is logged.", choices=_LEVELS),
        extraRules=listed("Rights on further kinds of targets, as rules of a Role.", passed_on()),
        resources=resources("Of the controller."),
    )


def kserve() -> Schema:
    """The storage initializer."""
    return group(
        "`mreg://` in KServe; needs its CRDs.",
        enabled=flag("Make the ClusterStorageContainer."),
        endpoint=text("Another registry than this one."),
        tokenSecret=name("Secret in the namespace of each InferenceService with its token."),
        tokenKey=key("Key in it."),
        allowFloating=flag("Also addresses that name no digest: replicas may then hold different versions."),
        signature=text("Whether a version must be signed.", choices=("Required", "IfPresent", "Off")),
        caFile=text("Authorities of the registry, where KServe mounts its bundle in the container."),
        resources=resources("Of the init container."),
    )


def tests() -> Schema:
    """`helm test`."""
    return group(
        "`helm test`: push, promote, pull.",
        enabled=flag("Have the pod."),
        project=text("Project it works in.", pattern=r"^[a-z0-9._-]+$"),
        model=text("Model it pushes to.", pattern=r"^[a-z0-9._-]+$"),
        tokenSecret=name("Secret with its token; `auth.adminToken.existingSecret` when empty."),
        tokenKey=key("Key in it."),
        caSecret=name("Secret with the authorities of the registry's certificate."),
        caKey=key("Key in it."),
    )
