/** Pulling a version into a directory: fetch, check everything, appear whole or not at all. */

import { constants } from "node:fs";
import { copyFile, mkdir, mkdtemp, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { holdsExactly, syncDirectory } from "./directories.js";
import { readChunks } from "./download.js";
import { FailedPreconditionError, IntegrityError, RegistryError } from "./errors.js";
import { reasonOf } from "./files.js";
import { ArtifactService } from "./gen/registry_grpc/v1/artifacts_pb.js";
import type { Artifact } from "./gen/registry_grpc/v1/artifacts_pb.js";
import type { ResolveResponse } from "./gen/registry_grpc/v1/stages_pb.js";
import { manifestDigest } from "./manifest.js";
import type { FileDigest } from "./manifest.js";
import { inParallel } from "./parallel.js";
import { checkServed } from "./paths.js";
import type { TransferOptions } from "./progress.js";
import type { Session } from "./session.js";

const PARALLEL = 2;
const PAGE_SIZE = 1000;

/** How to pull. */
export interface PullOptions extends TransferOptions {
  /** Files fetched at a time; each takes a few MiB of memory. */
  readonly parallel?: number | undefined;
}

/** A file of a version, wherever it is listed. */
interface ServedFile extends FileDigest {
  readonly artifact: Artifact;
}

/**
 * Bring the files of a resolved version to `directory`. See `Registry.pull`.
 *
 * @throws RegistryError
 */
export async function pullVersion(
  session: Session,
  answer: ResolveResponse,
  directory: string,
  options: PullOptions,
): Promise<string> {
  const dest = resolve(directory);
  const files = await listFiles(session, answer, options);
  if (await isDone(dest, files, options)) {
    return dest;
  }
  try {
    await mkdir(dirname(dest), { recursive: true });
    await place(session, files, dest, options);
  } catch (error) {
    throw error instanceof RegistryError
      ? error
      : new FailedPreconditionError(`${dest} cannot be written: ${reasonOf(error)}`, { cause: error });
  }
  return dest;
}

/** The files of the version, which give the digest that was pinned. */
async function listFiles(session: Session, answer: ResolveResponse, options: PullOptions): Promise<ServedFile[]> {
  let artifacts: readonly Artifact[] = answer.artifacts;
  if (artifacts.length !== answer.fileCount) {
    const request = { parent: answer.version, pageSize: PAGE_SIZE };
    const listed: Artifact[] = [];
    for await (const artifact of session.all(ArtifactService.method.listArtifacts, request, options)) {
      listed.push(artifact);
    }
    artifacts = listed;
  }
  const files = artifacts.map((artifact) => ({
    path: artifact.path,
    sha256: artifact.digest?.sha256 ?? "",
    sizeBytes: artifact.digest?.sizeBytes ?? 0n,
    artifact,
  }));
  checkServed(files);
  const found = manifestDigest(files);
  if (found !== answer.manifestDigest) {
    throw new IntegrityError(
      `the files of ${answer.version} give manifest digest ${found}, not ${answer.manifestDigest}; ` +
        "nothing was written; tell whoever runs the registry",
      { reason: "DIGEST_MISMATCH", metadata: { expected: answer.manifestDigest, actual: found } },
    );
  }
  return files;
}

/** Whether `dest` holds exactly this version. Files of others are never touched. */
async function isDone(dest: string, files: readonly ServedFile[], options: PullOptions): Promise<boolean> {
  const held = await holdsExactly(dest, files, options.signal);
  if (held === "other") {
    throw new FailedPreconditionError(`${dest} is not empty and not this version; choose a new directory or remove it`);
  }
  if (held === "exactly") {
    for (const file of files) {
      tell(options, "present", file, Number(file.sizeBytes));
    }
  }
  return held === "exactly";
}

/** Fetch into a sibling directory, which then takes the name. */
async function place(
  session: Session,
  files: readonly ServedFile[],
  dest: string,
  options: PullOptions,
): Promise<void> {
  const scratch = await mkdtemp(join(dirname(dest), `.${basename(dest).slice(0, 40)}.`));
  try {
    // Inside of it, because mkdtemp's own is for this user alone and the process's umask cannot be asked for safely.
    const made = join(scratch, "version");
    await mkdir(made);
    const [first, twins] = firstOfEach(files);
    await inParallel(first, options.parallel ?? PARALLEL, options.signal, (file, signal) =>
      fetchFile(session, file, join(made, file.path), { ...options, signal }),
    );
    for (const [twin, original] of twins) {
      await copyTwin(join(made, original.path), join(made, twin.path));
      tell(options, "present", twin, Number(twin.sizeBytes));
    }
    for (const directory of new Set(files.map((file) => dirname(join(made, file.path))))) {
      await syncDirectory(directory);
    }
    await rename(made, dest);
    await syncDirectory(dirname(dest));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Files with bytes of their own, and those that have the same as one of them. */
function firstOfEach(files: readonly ServedFile[]): [ServedFile[], [ServedFile, ServedFile][]] {
  const first = new Map<string, ServedFile>();
  const twins: [ServedFile, ServedFile][] = [];
  for (const file of files) {
    const original = first.get(file.sha256);
    if (original === undefined) {
      first.set(file.sha256, file);
    } else {
      twins.push([file, original]);
    }
  }
  return [[...first.values()], twins];
}

async function copyTwin(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
}

async function fetchFile(session: Session, file: ServedFile, target: string, options: PullOptions): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const handle = await open(target, "wx");
  try {
    let doneBytes = 0;
    // It throws unless the whole file has the digest that was listed.
    for await (const content of readChunks(session, file.artifact, {}, options)) {
      await handle.writeFile(content);
      doneBytes += content.length;
      tell(options, "download", file, doneBytes);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function tell(options: PullOptions, phase: "download" | "present", file: ServedFile, doneBytes: number): void {
  options.progress?.({ phase, path: file.path, doneBytes, sizeBytes: Number(file.sizeBytes) });
}
