/** Client of the gRPC model registry. @packageDocumentation */

export type { Call, Item, Messages, ServiceClient } from "./client.js";
export { Connection } from "./connection.js";
export type { CallOptions } from "./connection.js";
export type { Range } from "./download.js";
export {
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
  UnauthenticatedError,
  UnavailableError,
} from "./errors.js";
export type { ErrorFacts, StatusCode, Violation } from "./errors.js";
export { artifactId, manifestDigest } from "./manifest.js";
export type { FileDigest } from "./manifest.js";
export { parameters } from "./parameters.js";
export type { PlainParameter } from "./parameters.js";
export { checkPaths, pathFault } from "./paths.js";
export type { Phase, Progress, Report, TransferOptions } from "./progress.js";
export type { PullOptions } from "./pull.js";
export { PUSH_KEY } from "./push.js";
export type { PushOptions, VersionFields } from "./push.js";
export { DEFAULT_PROJECT, Reference, parseReference, referenceFromName } from "./references.js";
export type { ReferenceParts } from "./references.js";
export { Registry } from "./registry.js";
export type { ByteStream } from "./registry.js";
export { SERVICES } from "./services.js";
export type { ResolveOptions } from "./session.js";
export { DEFAULT_ENDPOINT, DEFAULT_TIMEOUT_MS } from "./settings.js";
export type { RegistryOptions, Settings } from "./settings.js";
export { errorFromStatus } from "./status.js";
export type { TokenSource } from "./tokens.js";
export type { UploadOptions } from "./upload.js";
export { VERSION } from "./version.js";
export { EVERYTHING, Watch } from "./watch.js";
export type { Change, StateChange, SyncedChange, WatchOptions } from "./watch.js";
