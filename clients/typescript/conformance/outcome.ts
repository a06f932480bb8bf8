/** How what came of a step is printed. */

import { createRegistry, toJson } from "@bufbuild/protobuf";
import type { DescMessage, JsonValue, MessageShape, Registry as TypeRegistry } from "@bufbuild/protobuf";
import {
  AlreadyExistsError,
  CancelledError,
  ConflictError,
  DeadlineExceededError,
  FailedPreconditionError,
  FeatureDisabledError,
  IntegrityError,
  InternalError,
  InvalidArgumentError,
  NotFoundError,
  OutOfRangeError,
  PermissionDeniedError,
  RegistryError,
  ResourceExhaustedError,
  SERVICES,
  UnauthenticatedError,
  UnavailableError,
} from "@registry-grpc/client";
import type { Change } from "@registry-grpc/client";
import { EventAction } from "@registry-grpc/client/v1/events";
import { file_google_rpc_error_details } from "@registry-grpc/client/google/rpc/error_details";

/** What is printed of a step. */
export type Outcome = Readonly<Record<string, JsonValue>>;

/** For messages in Any: the details of an error inside a batch answer. */
export const TYPES: TypeRegistry = createRegistry(file_google_rpc_error_details, ...SERVICES.map(({ file }) => file));

/** Those that are a kind of another first. */
const KINDS: readonly (readonly [typeof RegistryError, string])[] = [
  [OutOfRangeError, "OutOfRange"],
  [NotFoundError, "NotFound"],
  [AlreadyExistsError, "AlreadyExists"],
  [InvalidArgumentError, "InvalidArgument"],
  [ConflictError, "Conflict"],
  [FailedPreconditionError, "FailedPrecondition"],
  [PermissionDeniedError, "PermissionDenied"],
  [UnauthenticatedError, "Unauthenticated"],
  [UnavailableError, "Unavailable"],
  [ResourceExhaustedError, "ResourceExhausted"],
  [DeadlineExceededError, "DeadlineExceeded"],
  [IntegrityError, "IntegrityError"],
  [FeatureDisabledError, "FeatureDisabled"],
  [InternalError, "InternalError"],
  [CancelledError, "Cancelled"],
];

/** Canonical proto JSON. */
export function messageJson<D extends DescMessage>(schema: D, message: MessageShape<D>): JsonValue {
  return toJson(schema, message, { registry: TYPES });
}

/** The library's error, or what the driver itself did wrong. */
export function failure(error: unknown): Outcome {
  if (!(error instanceof RegistryError)) {
    return { defect: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  return {
    error: {
      kind: KINDS.find(([kind]) => error instanceof kind)?.[1] ?? "RegistryError",
      code: error.code,
      reason: error.reason,
      metadata: { ...error.metadata },
      violations: error.violations.map(({ subject, description }) => ({ subject, description })),
      retryAfter: error.retryAfterMs !== undefined,
    },
  };
}

/** One change of a watch. */
export function changeJson(change: Change): Record<string, JsonValue> {
  const told = { kind: change.kind.toUpperCase(), revision: change.revision.toString() };
  if (change.event === undefined) {
    return told;
  }
  const { resourceType, action, name } = change.event;
  return { ...told, type: resourceType, action: EventAction[action], resource: name };
}
