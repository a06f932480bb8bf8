/**
 * What calls reject with: one class per kind of failure, and the reason the server gave.
 *
 * Match with `instanceof`, or on `error.reason` (a name of `ErrorReason` without its prefix); never on the message.
 */

/** Name of a gRPC status code. */
export type StatusCode =
  | "OK"
  | "CANCELLED"
  | "UNKNOWN"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED";

/** One field, rule or resource that stands in the way. */
export interface Violation {
  /** Path of the field, name of the rule or resource. */
  readonly subject: string;
  /** What is wrong with it, for people. */
  readonly description: string;
}

/** Facts about a failure, beside its message. */
export interface ErrorFacts {
  /** gRPC status; the one of the class when left out. */
  readonly code?: StatusCode;
  /** Reason of the contract without its prefix, e.g. `STAGE_MOVED`. */
  readonly reason?: string;
  /** Facts of the reason; the contract says which keys each has. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** What stands in the way. */
  readonly violations?: readonly Violation[];
  /** How long the server asks to wait. */
  readonly retryAfterMs?: number | undefined;
  /** Id to find the call by in the server's log. */
  readonly requestId?: string;
  /** What this is because of. */
  readonly cause?: unknown;
}

/**
 * A call failed.
 *
 * `reason` is empty when the failure did not come from a registry (no connection, a proxy) or was found on this side;
 * `retryAfterMs` is set when the server asks to wait.
 */
export class RegistryError extends Error {
  /** Status of the class, where the server gave none. */
  static readonly code: StatusCode = "UNKNOWN";

  /** Name of the gRPC status. */
  readonly code: StatusCode;
  /** Reason of the contract without its prefix, e.g. `STAGE_MOVED`; empty when no registry gave one. */
  readonly reason: string;
  /** Facts of the reason; the contract says which keys each has. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Fields, rules or resources that stand in the way. */
  readonly violations: readonly Violation[];
  /** How long the server asks to wait; undefined when it does not. */
  readonly retryAfterMs: number | undefined;
  /** Id to find the call by in the server's log. */
  readonly requestId: string;

  /** Made by the client; a test may make its own. */
  constructor(message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = new.target.name;
    this.code = facts.code ?? new.target.code;
    this.reason = facts.reason ?? "";
    this.metadata = facts.metadata ?? {};
    this.violations = facts.violations ?? [];
    this.retryAfterMs = facts.retryAfterMs;
    this.requestId = facts.requestId ?? "";
  }
}

/** No such resource, or the caller may not know of it. */
export class NotFoundError extends RegistryError {
  static override readonly code: StatusCode = "NOT_FOUND";
}

/** The id, label or alias is taken. */
export class AlreadyExistsError extends RegistryError {
  static override readonly code: StatusCode = "ALREADY_EXISTS";
}

/** The request makes no sense whatever the state; also raised before anything is sent. */
export class InvalidArgumentError extends RegistryError {
  static override readonly code: StatusCode = "INVALID_ARGUMENT";
}

/** An offset, size or revision lies outside of what there is. */
export class OutOfRangeError extends InvalidArgumentError {
  static override readonly code: StatusCode = "OUT_OF_RANGE";
}

/** Someone else was first: read again and decide. */
export class ConflictError extends RegistryError {
  static override readonly code: StatusCode = "ABORTED";
}

/** The present state does not allow the call. */
export class FailedPreconditionError extends RegistryError {
  static override readonly code: StatusCode = "FAILED_PRECONDITION";
}

/** The caller lacks a permission. */
export class PermissionDeniedError extends RegistryError {
  static override readonly code: StatusCode = "PERMISSION_DENIED";
}

/** No token, or one that does not count. */
export class UnauthenticatedError extends RegistryError {
  static override readonly code: StatusCode = "UNAUTHENTICATED";
}

/** The registry, its database or its store does not answer; trying again later may help. */
export class UnavailableError extends RegistryError {
  static override readonly code: StatusCode = "UNAVAILABLE";
}

/** A quota, rate or storage limit. */
export class ResourceExhaustedError extends RegistryError {
  static override readonly code: StatusCode = "RESOURCE_EXHAUSTED";
}

/** No answer in time; a mutation may have happened. */
export class DeadlineExceededError extends RegistryError {
  static override readonly code: StatusCode = "DEADLINE_EXCEEDED";
}

/** Bytes are not what their digest says: stored, sent, received or on this disk. */
export class IntegrityError extends RegistryError {
  static override readonly code: StatusCode = "DATA_LOSS";
}

/** This server does not do that. */
export class FeatureDisabledError extends RegistryError {
  static override readonly code: StatusCode = "UNIMPLEMENTED";
}

/** A defect of the server; report `requestId`. */
export class InternalError extends RegistryError {
  static override readonly code: StatusCode = "INTERNAL";
}

/** The call was cancelled: by its `AbortSignal` (`cause` is the signal's reason), by `close`, or by the server. */
export class CancelledError extends RegistryError {
  static override readonly code: StatusCode = "CANCELLED";
}

/** A class of this module. */
export type RegistryErrorClass = typeof RegistryError;

const CLASSES: readonly RegistryErrorClass[] = [
  NotFoundError,
  AlreadyExistsError,
  InvalidArgumentError,
  OutOfRangeError,
  ConflictError,
  FailedPreconditionError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnavailableError,
  ResourceExhaustedError,
  DeadlineExceededError,
  IntegrityError,
  FeatureDisabledError,
  InternalError,
  CancelledError,
];

const BY_CODE: ReadonlyMap<StatusCode, RegistryErrorClass> = new Map(CLASSES.map((kind) => [kind.code, kind]));

/** Where the status alone would say something else. */
const BY_REASON: ReadonlyMap<string, RegistryErrorClass> = new Map([
  ["DIGEST_MISMATCH", IntegrityError],
  ["CHUNK_CHECKSUM", IntegrityError],
  ["ARTIFACT_CORRUPT", IntegrityError],
]);

/** The class for a failure a server reported. */
export function errorClass(code: StatusCode, reason: string): RegistryErrorClass {
  return BY_REASON.get(reason) ?? BY_CODE.get(code) ?? RegistryError;
}
