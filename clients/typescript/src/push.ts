/**
 * Pushing a version: hash, find or make the draft, send only what the registry does not hold, freeze.
 *
 * Running the same push again resumes it, or returns what it made: a push is known by its key, the digest of its files
 * and metadata, which stands in an annotation of the version.
 */

import { createHash } from "node:crypto";
import { clone, create, toJson } from "@bufbuild/protobuf";
import type { JsonValue, MessageInitShape } from "@bufbuild/protobuf";
import { AlreadyExistsError, InvalidArgumentError, NotFoundError } from "./errors.js";
import { ModelService } from "./gen/registry_grpc/v1/models_pb.js";
import { ModelVersionSchema, VersionState } from "./gen/registry_grpc/v1/versions_pb.js";
import type { ModelVersion } from "./gen/registry_grpc/v1/versions_pb.js";
import { manifestDigest } from "./manifest.js";
import { inParallel } from "./parallel.js";
import type { TransferOptions } from "./progress.js";
import { DraftFiles } from "./push_files.js";
import type { Reference } from "./references.js";
import type { Session } from "./session.js";
import { collect, hashFile, requireStillThere } from "./tree.js";

/** Annotation a push is known by. */
export const PUSH_KEY = "mreg.dev/push-key";
const NEWEST_SEARCHED = 100;
const PARALLEL = 2;
/** Finalizing reads the head of every file to find its format. */
const FINALIZE_TIMEOUT_MS = 300_000;

/** Metadata of a version, as in the contract. */
export type VersionFields = MessageInitShape<typeof ModelVersionSchema>;

/** How to push. */
export interface PushOptions extends TransferOptions {
  /** Make the model when it is not there; on unless it is false. */
  readonly createModel?: boolean | undefined;
  /** Freeze the version in the end; on unless it is false. */
  readonly finalize?: boolean | undefined;
  /** Make another version when one of equal files and metadata is there. */
  readonly forceNew?: boolean | undefined;
  /** Files hashed or sent at a time; each takes a few MiB of memory. */
  readonly parallel?: number | undefined;
}

/**
 * A version with these files and metadata. See `Registry.push`.
 *
 * @throws RegistryError
 */
export async function pushVersion(
  session: Session,
  model: Reference,
  paths: string | readonly string[],
  fields: VersionFields,
  options: PushOptions,
): Promise<ModelVersion> {
  const metadata = clone(ModelVersionSchema, create(ModelVersionSchema, fields));
  if (metadata.annotations[PUSH_KEY] !== undefined) {
    throw new InvalidArgumentError(`the annotation ${PUSH_KEY} is written by push; leave it out`);
  }
  const parallel = options.parallel ?? PARALLEL;
  const files = await inParallel(await collect(paths), parallel, options.signal, (file, signal) =>
    hashFile(file, options.progress, signal),
  );
  const digest = manifestDigest(files.map((file) => ({ ...file, sizeBytes: BigInt(file.sizeBytes) })));
  metadata.annotations[PUSH_KEY] = pushKey(digest, metadata);
  const version =
    (await findVersion(session, model, metadata, options)) ?? (await createVersion(session, model, metadata, options));
  if (version.state !== VersionState.DRAFT) {
    return version;
  }
  await new DraftFiles(session, version.name, options, parallel).fill(files);
  for (const file of files) {
    // Also those that were not read again because the registry held what they were.
    await requireStillThere(file);
  }
  if (options.finalize === false) {
    return session.models.getVersion({ name: version.name }, options);
  }
  const timeoutMs = Math.max(FINALIZE_TIMEOUT_MS, options.timeoutMs ?? session.connection.settings.timeoutMs);
  return session.models.finalizeVersion({ name: version.name, manifestDigest: digest }, { ...options, timeoutMs });
}

/** Key of a push: hex SHA-256 over the manifest digest and the metadata, whatever the order it was given in. */
export function pushKey(digest: string, metadata: ModelVersion): string {
  const canonical = JSON.stringify(sorted(toJson(ModelVersionSchema, metadata)));
  return createHash("sha256").update(`${digest}\n${canonical}`).digest("hex");
}

function sorted(value: JsonValue): JsonValue {
  if (Array.isArray(value)) {
    return value.map(sorted);
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key] ?? null)]));
}

/** The version an equal push made or began. */
async function findVersion(
  session: Session,
  model: Reference,
  metadata: ModelVersion,
  options: PushOptions,
): Promise<ModelVersion | undefined> {
  const key = metadata.annotations[PUSH_KEY];
  try {
    // A draft is resumed also with forceNew: it is no version yet, and its bytes are already there.
    const states = options.forceNew === true ? [VersionState.DRAFT] : [VersionState.READY, VersionState.DRAFT];
    for (const state of states) {
      const query = { parent: model.modelName, states: [state], pageSize: NEWEST_SEARCHED };
      let searched = 0;
      for await (const found of session.all(ModelService.method.listVersions, query, options)) {
        if (found.annotations[PUSH_KEY] === key) {
          return found;
        }
        searched += 1;
        if (state === VersionState.READY && searched === NEWEST_SEARCHED) {
          break;
        }
      }
    }
  } catch (error) {
    if (!(error instanceof NotFoundError) || error.reason !== "MODEL_NOT_FOUND" || options.createModel === false) {
      throw error;
    }
    await createModel(session, model, options);
  }
  return undefined;
}

async function createModel(session: Session, model: Reference, options: PushOptions): Promise<void> {
  try {
    await session.models.createModel({ parent: `projects/${model.project}`, modelId: model.model, model: {} }, options);
  } catch (error) {
    // Another push was first, unless the model is there but deleted.
    if (!(error instanceof AlreadyExistsError) || error.metadata["softDeleted"]) {
      throw error;
    }
  }
}

function createVersion(
  session: Session,
  model: Reference,
  metadata: ModelVersion,
  options: PushOptions,
): Promise<ModelVersion> {
  return session.models.createVersion({ parent: model.modelName, version: metadata }, options);
}
