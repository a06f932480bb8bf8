"""The schema of the chart's values."""

from __future__ import annotations

from typing import Any

from _chart.shapes import (
    Schema,
    flag,
    group,
    key,
    listed,
    name,
    number,
    passed_on,
    peers,
    port,
    ports,
    resources,
    text,
    texts,
)
from _chart.workloads import controller, kserve, monitoring, pod_security, pods, tests
from registry_grpc.server.issuers import IssuerSettings
from registry_grpc.server.settings import Settings

_LISTENERS = {"health_listen", "insecure_plaintext", "listen", "metrics_listen", "tls_cert", "tls_client_ca", "tls_key"}
_DATABASE = {"data_dir", "database_url", "database_url_file", "db_pool_size"}
_STORE = {"artifact_store", "s3_access_key", "s3_bucket", "s3_endpoint", "s3_public_endpoint", "s3_region"}
_STORE |= {"s3_secret_key", "s3_secret_key_file", "s3_secure", "storage_capacity_bytes"}
_KEYS = {"admin_token_file", "audit_key_file", "issuers", "secrets_key_file"}
_PROCESS = {"drain_s", "drain_wait_s", "log_format", "log_level", "workers"}
OWN = frozenset(_LISTENERS | _DATABASE | _STORE | _KEYS | _PROCESS)
"""Settings of the server that other values of the chart decide; all others are values of `server.settings`."""
_LEVELS = ("debug", "info", "warning", "error")


def schema() -> Schema:
    """All of it."""
    parts = _identity() | _server() | _stores() | _access() | _network() | pods()
    parts |= {"monitoring": monitoring(), "controller": controller(), "kserve": kserve(), "tests": tests()}
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart"} | group("", **parts)


def _identity() -> dict[str, Schema]:
    return {
        # What Helm itself puts there for a chart that depends on this one.
        "global": passed_on("Values that Helm shares between charts; nothing is read from them."),
        "nameOverride": name("In place of the chart's name."),
        "fullnameOverride": name("In place of release and chart name in the names of all objects."),
        "commonLabels": texts("Labels of every object."),
        "mode": text(
            "`distributed`: PostgreSQL and S3, any number of replicas. `embedded`: SQLite and a directory on a volume, "
            "one replica.",
            choices=("distributed", "embedded"),
        ),
        "image": group(
            "The image of `deploy/Dockerfile`.",
            repository=text("Where it is.", pattern=r"^[^\s@]+$"),
            tag=text("Its tag; the chart's `appVersion` when empty."),
            digest=text("Its digest, which wins over the tag.", pattern=r"^(sha256:[0-9a-f]{64})?$"),
            pullPolicy=text("When the kubelet pulls it.", choices=("Always", "IfNotPresent", "Never")),
        ),
        "imagePullSecrets": listed("Secrets to pull it with.", group("", name=name(""))),
        "replicaCount": {"type": ["integer", "null"], "minimum": 1}
        | {"description": "Servers; 2, or 1 in mode `embedded`, when unset. Not with `autoscaling`."},
    }


def _server() -> dict[str, Schema]:
    return {
        "server": group(
            "The server.",
            bindAddress=text("Address its listeners bind; `[::]` for both families.", pattern=r"^[0-9a-fA-F.:\[\]]+$"),
            grpcPort=port("gRPC, of pods and service."),
            metricsPort=port("`/metrics`, of pods and of the metrics service."),
            healthPort=port("gRPC health in plain text, for the kubelet; on no service."),
            workers=number("Processes in each pod.", 1, 64),
            drainSeconds=number("Longest time running calls get when a pod ends.", 1, 3600),
            drainWaitSeconds=number("Before that, time for balancers to notice.", 0, 60),
            logLevel=text("Least level that is logged, as JSON.", choices=_LEVELS),
            settings=settings(),
        )
    }


def settings() -> Schema:
    """Every other setting of the server, by its name and with the limits it has there."""
    known = Settings.model_json_schema()["properties"]
    parts = {each: _plain(found) for each, found in known.items() if each not in OWN}
    return group("Any other setting of [operations](../../../docs/operations.md#settings), by its name.", **parts)


def _plain(found: dict[str, Any]) -> Schema:
    """One property of pydantic's, without what is no rule; absent is said by leaving it out, not by null."""
    (kind,) = [each for each in found.get("anyOf", [found]) if each != {"type": "null"}]
    return {each: value for each, value in kind.items() if each not in {"title", "default", "format", "description"}}


def _stores() -> dict[str, Schema]:
    migrations = group(
        "The Job that brings the schema up to this version.",
        enabled=flag("Run it at each revision; off where you run `mreg db upgrade` yourself."),
        existingSecret=name("Secret with the address for the role that owns the tables; `database.existingSecret`."),
        urlKey=key("Key in it."),
        grantTo=text("Role the servers log in as, which gets its rights anew after each upgrade.", pattern=r"^[^\s]*$"),
        backoffLimit=number("Tries."),
        activeDeadlineSeconds=number("Longest time in all.", 1),
        annotations=texts("Annotations of the Job."),
        resources=resources("Of the Job, and of what waits for it."),
    )
    return {
        "database": group(
            "PostgreSQL; needed in mode `distributed`.",
            existingSecret=name("Secret with `postgresql://user:password@host/name`."),
            urlKey=key("Key in it."),
            poolSize=number("Connections of each process.", 1),
            migrations=migrations,
        ),
        "embedded": group(
            "The volume of mode `embedded`.",
            existingClaim=name("A claim you made; one is made when empty."),
            size=text("Size of the claim.", pattern=r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi)$"),
            storageClassName=name("Its class; the cluster's default when empty."),
            keep=flag("Keep the claim when the release is removed."),
        ),
        "objectStore": group(
            "S3; needed in mode `distributed`.",
            endpoint=text("`host:port`.", pattern=r"^([^\s/:]+(:[0-9]+)?)?$"),
            publicEndpoint=text("Where clients reach it, for signed URLs.", pattern=r"^([^\s/:]+(:[0-9]+)?)?$"),
            bucket=text("Bucket; it must exist.", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"),
            region=text("Region in signatures."),
            tls=flag("HTTPS."),
            capacityBytes=number("What it can hold, for the headroom alert; 0: unknown."),
            existingSecret=name("Secret with the keys of the bucket."),
            accessKeyKey=key("Key of the access key in it."),
            secretKeyKey=key("Key of the secret key in it."),
        ),
    }


def _access() -> dict[str, Schema]:
    def secret(meaning: str, of: str) -> Schema:
        return group(meaning, existingSecret=name(of), key=key("Key in it."))

    issuer = IssuerSettings.model_json_schema()
    issuers = group("", **{each: _plain(found) for each, found in issuer["properties"].items()})
    mtls = group(
        "A second listener that asks for client certificates.",
        enabled=flag("Open it."),
        port=port("Its port."),
        caSecret=name("Secret with the authorities of client certificates."),
        caKey=key("Key in it."),
    )
    return {
        "auth": group(
            "Who is believed.",
            adminToken=secret(
                "The first token.", "Secret with a token of `mreg tokens generate`; the server makes one."
            ),
            issuers=listed("Issuers of JWTs, see operations, who calls.", issuers | {"required": issuer["required"]}),
            kubernetes=group(
                "Service accounts of this cluster.",
                enabled=flag("Believe their projected tokens."),
                id=text("Their users are `user:ID/system:serviceaccount:NAMESPACE:NAME`.", pattern=r"^[a-z0-9._-]+$"),
                issuer=text("The cluster's issuer.", pattern=r"^https://"),
                audience=text("What tokens must be for.", pattern=r"^\S+$"),
            ),
        ),
        "tls": group(
            "TLS of the gRPC port.",
            existingSecret=name("Secret of type kubernetes.io/tls; it may be renewed in place."),
            certKey=key("Key of the chain in it."),
            keyKey=key("Key of the private key in it."),
            insecurePlaintext=flag("No TLS, because something else encrypts."),
            mtls=mtls,
        ),
        "secrets": group(
            "Keys that are the same on every replica.",
            webhooks=secret("What secrets of webhooks are sealed with.", "Secret with it; no webhooks without."),
            audit=secret("What checkpoints are signed with.", "Secret with it; nothing is signed without."),
        ),
        "serviceAccount": group(
            "Identity of the servers in the cluster; it has no rights there.",
            create=flag("Make it."),
            name=name("Its name."),
            annotations=texts("Its annotations."),
        ),
    }


def _network() -> dict[str, Schema]:
    policy = group(
        "What may reach the pods and what they may reach.",
        enabled=flag("Make the policies."),
        clients=peers("Who may call; everybody when empty."),
        monitoring=peers("Who may read metrics; everybody when empty."),
        dns=peers("Where names are asked; anywhere when empty."),
        database=group("PostgreSQL.", ports=ports("Its ports."), to=peers("Where; anywhere when empty.")),
        objectStore=group("S3.", ports=ports("Its ports."), to=peers("Where; anywhere when empty.")),
        https=group("Issuers and webhooks, on port 443.", enabled=flag("Allow it."), to=peers("Where; anywhere.")),
        apiServer=group("The cluster's API.", ports=ports("Its ports."), to=peers("Where; anywhere when empty.")),
        extraEgress=listed("Further rules.", passed_on()),
    )
    return {
        "service": group(
            "The service clients call.",
            type=text("Its type.", choices=("ClusterIP", "NodePort", "LoadBalancer")),
            annotations=texts("Its annotations."),
        ),
        "headless": group("A service that names every pod, for clients that take turns.", enabled=flag("Make it.")),
        "networkPolicy": policy,
        **pod_security(),
    }
