/** The channel: credentials, retries, keepalive and message limits. */

import { readFileSync } from "node:fs";
import { Channel, credentials } from "@grpc/grpc-js";
import type { ChannelCredentials, ChannelOptions } from "@grpc/grpc-js";
import { InvalidArgumentError } from "./errors.js";
import { reasonOf } from "./files.js";
import { SERVICES } from "./services.js";
import { isLoopback, targetOf } from "./settings.js";
import type { Settings } from "./settings.js";
import { VERSION } from "./version.js";

/** Answers: a page of versions with model cards may pass gRPC's 4 MiB. */
const MAX_MESSAGE_BYTES = 16 << 20;
/** HTTP/2's own 64 KiB would be a round trip for each sixteenth of a chunk. */
const WINDOW_BYTES = 2 << 20;

/** The gRPC service config: unary calls are retried while UNAVAILABLE; that is safe by their request_id. */
export function serviceConfig(): string {
  // Streams are left out: gRPC would replay what it still holds of one. They are resumed where they stood instead.
  const retried = SERVICES.flatMap((service) =>
    service.methods
      .filter((method) => method.methodKind === "unary")
      .map((method) => ({ service: service.typeName, method: method.name })),
  );
  const retryPolicy = {
    maxAttempts: 5,
    initialBackoff: "0.1s",
    maxBackoff: "2s",
    backoffMultiplier: 2,
    retryableStatusCodes: ["UNAVAILABLE"],
  };
  return JSON.stringify({
    loadBalancingConfig: [{ round_robin: {} }],
    methodConfig: [{ name: retried, retryPolicy }],
  });
}

/**
 * A channel that connects when first used.
 *
 * @throws {@link InvalidArgumentError} when a certificate file cannot be used.
 */
export function openChannel(settings: Settings): Channel {
  const options: ChannelOptions = {
    "grpc.service_config": serviceConfig(),
    "grpc.service_config_disable_resolution": 1,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    // gRPC waits 1 s after a refused connection, then up to 2 minutes. In a rolling restart the first replica would be
    // back for long, unasked, when the last one goes.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    "grpc.primary_user_agent": `mreg-typescript/${VERSION}`,
    "grpc-node.flow_control_window": WINDOW_BYTES,
    // Two Registries of one process share nothing: a stuck stream must not hold the calls of the other.
    "grpc.use_local_subchannel_pool": 1,
  };
  if (isLoopback(settings.endpoint)) {
    options["grpc.enable_http_proxy"] = 0;
  }
  const [first, second] = settings.endpoint.split(",");
  if (first !== undefined && second !== undefined) {
    // One name for all of them, or the list itself would be the name that certificates are held against.
    options["grpc.default_authority"] = first.replace(/^ipv[46]:/, "");
  }
  return new Channel(targetOf(settings.endpoint), credentialsOf(settings), options);
}

function credentialsOf(settings: Settings): ChannelCredentials {
  if (!settings.tls) {
    return credentials.createInsecure();
  }
  const [ca, key, certificate] = [settings.caFile, settings.clientKey, settings.clientCert].map(readPem);
  try {
    return credentials.createSsl(ca ?? null, key ?? null, certificate ?? null);
  } catch (error) {
    throw new InvalidArgumentError(
      `the certificates cannot be used: ${reasonOf(error)}; check the certificate settings`,
      {
        cause: error,
      },
    );
  }
}

function readPem(path: string | undefined): Buffer | undefined {
  try {
    return path === undefined ? undefined : readFileSync(path);
  } catch (error) {
    throw new InvalidArgumentError(`${path ?? ""} cannot be read: ${reasonOf(error)}; check the certificate settings`, {
      cause: error,
    });
  }
}
