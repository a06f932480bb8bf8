/** From a gRPC status to an error: the one place that reads google.rpc details. */

import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Any } from "@bufbuild/protobuf/wkt";
import { status as codes } from "@grpc/grpc-js";
import type { StatusObject } from "@grpc/grpc-js";
import { errorClass } from "./errors.js";
import type { RegistryError, StatusCode, Violation } from "./errors.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "./gen/google/rpc/status_pb.js";
import type { Status } from "./gen/google/rpc/status_pb.js";

/** `ErrorInfo.domain` of this contract. */
export const DOMAIN = "registry-grpc";
/** Metadata key of the id a call is found by. */
export const REQUEST_ID_KEY = "x-request-id";
const DETAILS_KEY = "grpc-status-details-bin";

/** The error of a call that ended with `status`; `requestId` is what it was sent with. */
export function errorFromCall(status: StatusObject, requestId: string): RegistryError {
  const [packed] = status.metadata.get(DETAILS_KEY);
  const [answered] = status.metadata.get(REQUEST_ID_KEY);
  const id = typeof answered === "string" ? answered : requestId;
  const details = packed instanceof Uint8Array ? readDetails(packed) : [];
  return build(codeName(status.code), status.details, details, id);
}

/** The error for one failure inside a batch answer. */
export function errorFromStatus(status: Status): RegistryError {
  return build(codeName(status.code), status.message, status.details, "");
}

function codeName(code: number): StatusCode {
  // grpc-js's enum maps both ways; what it does not know is unknown to us, too.
  const name = (codes as unknown as Readonly<Record<number, StatusCode | undefined>>)[code];
  return name ?? "UNKNOWN";
}

function readDetails(packed: Uint8Array): readonly Any[] {
  try {
    return fromBinary(StatusSchema, packed).details;
  } catch {
    return []; // Somebody between us and the registry wrote something else there.
  }
}

function build(code: StatusCode, message: string, details: readonly Any[], sentId: string): RegistryError {
  let reason = "";
  let metadata: Readonly<Record<string, string>> = {};
  let retryAfterMs: number | undefined;
  let requestId = sentId;
  const violations: Violation[] = [];
  for (const detail of details) {
    const info = anyUnpack(detail, ErrorInfoSchema);
    const retry = anyUnpack(detail, RetryInfoSchema);
    const request = anyUnpack(detail, RequestInfoSchema);
    if (info?.domain === DOMAIN) {
      reason = info.reason;
      metadata = { ...info.metadata };
    } else if (retry) {
      retryAfterMs = Number(retry.retryDelay?.seconds ?? 0n) * 1000 + (retry.retryDelay?.nanos ?? 0) / 1e6;
    } else if (request) {
      requestId = request.requestId;
    } else {
      violations.push(...violationsOf(detail));
    }
  }
  return new (errorClass(code, reason))(message, { code, reason, metadata, violations, retryAfterMs, requestId });
}

function violationsOf(detail: Any): Violation[] {
  const bad = anyUnpack(detail, BadRequestSchema);
  if (bad) {
    return bad.fieldViolations.map((found) => ({ subject: found.field, description: found.description }));
  }
  const failed = anyUnpack(detail, PreconditionFailureSchema) ?? anyUnpack(detail, QuotaFailureSchema);
  return (failed?.violations ?? []).map((found) => ({ subject: found.subject, description: found.description }));
}
