/** The local files of a push: found, checked, hashed once. */

import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { lstat, open, readdir, realpath, stat } from "node:fs/promises";
import { basename, join, relative, resolve, sep } from "node:path";
import { IntegrityError, InvalidArgumentError, RegistryError } from "./errors.js";
import { throwIfAborted } from "./exchange.js";
import { PIECE_BYTES, isAbsent, reasonOf } from "./files.js";
import { sortedByPath } from "./manifest.js";
import { checkPaths } from "./paths.js";
import type { Report } from "./progress.js";

/** A file on this disk and where it goes; size and time tell when somebody writes to it. */
export interface LocalFile {
  /** Inside the version. */
  readonly path: string;
  /** On this disk. */
  readonly source: string;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
}

/** A local file and what its bytes are. */
export interface HashedFile extends LocalFile {
  readonly sha256: string;
}

/**
 * The files to push, by path. A single directory gives its content; of several paths a directory keeps its name.
 *
 * `.git` is left out. Links to files inside the directory are followed; every other link is refused, as is anything
 * that is no file.
 *
 * @throws InvalidArgumentError
 */
export async function collect(paths: string | readonly string[]): Promise<LocalFile[]> {
  const roots = typeof paths === "string" ? [paths] : paths;
  const found: LocalFile[] = [];
  for (const root of roots) {
    const facts = await orAbsent(stat(root));
    if (facts === undefined) {
      throw new InvalidArgumentError(`${root} does not exist; give a file or a directory to push`);
    }
    if (facts.isDirectory()) {
      const prefix = typeof paths === "string" ? "" : `${basename(resolve(root))}/`;
      for await (const source of walk(root, await realpath(root))) {
        found.push(await localFile(prefix + relative(root, source).split(sep).join("/"), source));
      }
    } else {
      found.push(await localFile(basename(root), root));
    }
  }
  if (found.length === 0) {
    throw new InvalidArgumentError(`${roots.join(", ") || "nothing"} has no file to push`);
  }
  checkDistinct(found);
  checkPaths(found.map((file) => file.path));
  return sortedByPath(found);
}

function checkDistinct(files: readonly LocalFile[]): void {
  const seen = new Set<string>();
  for (const { path } of files) {
    if (seen.has(path)) {
      throw new InvalidArgumentError(`two files would be '${path}' in the version; push the directory above them`);
    }
    seen.add(path);
  }
}

async function* walk(directory: string, inside: string): AsyncGenerator<string> {
  for (const entry of await readable(directory, readdir(directory, { withFileTypes: true }))) {
    const source = join(directory, entry.name);
    if (entry.name.toLowerCase() === ".git") {
      continue;
    }
    if (entry.isSymbolicLink()) {
      await requireInnerFile(source, inside);
    }
    if (entry.isDirectory()) {
      yield* walk(source, inside);
    } else {
      yield source;
    }
  }
}

async function requireInnerFile(link: string, inside: string): Promise<void> {
  const target = await orAbsent(stat(link));
  if (target === undefined) {
    throw new InvalidArgumentError(`${link} is a link to nothing; remove it and push again`);
  }
  const isInside = (await realpath(link)).startsWith(inside + sep);
  if (target.isDirectory() || !isInside) {
    const what = target.isDirectory() ? "a directory" : `a file outside ${inside}`;
    throw new InvalidArgumentError(`${link} is a link to ${what}; replace it by a copy (cp -rL) and push again`);
  }
}

/** The file at `source`, to become `path` in a version. Throws InvalidArgumentError when it is none. */
export async function localFile(path: string, source: string): Promise<LocalFile> {
  const facts = await readable(source, stat(source, { bigint: true }));
  if (!facts.isFile()) {
    throw new InvalidArgumentError(`${source} is no regular file; only files can be pushed`);
  }
  return { path, source, sizeBytes: Number(facts.size), mtimeNs: facts.mtimeNs };
}

/**
 * The file with its digest; it is read once.
 *
 * @throws IntegrityError when it changes meanwhile, InvalidArgumentError when it cannot be read.
 */
export async function hashFile(file: LocalFile, report: Report | undefined, signal?: AbortSignal): Promise<HashedFile> {
  const digest = createHash("sha256");
  const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, file.sizeBytes + 1));
  let doneBytes = 0;
  const handle = await readable(file.source, open(file.source));
  try {
    for (;;) {
      throwIfAborted(signal);
      const { bytesRead } = await readable(file.source, handle.read(piece, 0, piece.length, null));
      if (bytesRead === 0) {
        break;
      }
      digest.update(piece.subarray(0, bytesRead));
      doneBytes += bytesRead;
      report?.({ phase: "hash", path: file.path, doneBytes, sizeBytes: file.sizeBytes });
    }
    requireUnchanged(file, await handle.stat({ bigint: true }));
  } finally {
    await handle.close();
  }
  return { ...file, sha256: digest.digest("hex") };
}

/**
 * Refuse to go on with a file somebody writes to.
 *
 * @throws IntegrityError
 */
export function requireUnchanged(file: LocalFile, facts: BigIntStats): void {
  if (Number(facts.size) !== file.sizeBytes || facts.mtimeNs !== file.mtimeNs) {
    throw changed(file);
  }
}

/** The same for a file that is not open. */
export async function requireStillThere(file: LocalFile): Promise<void> {
  const facts = await orAbsent(stat(file.source, { bigint: true }));
  if (facts === undefined) {
    throw changed(file);
  }
  requireUnchanged(file, facts);
}

/** The error for a file that is not what it was when the push began. */
export function changed(file: Pick<LocalFile, "path" | "source">): IntegrityError {
  return new IntegrityError(
    `${file.source} changed while it was pushed; wait until nothing writes to it and push again`,
    { reason: "DIGEST_MISMATCH", metadata: { path: file.path } },
  );
}

/** What is there, without following a link; undefined when nothing is. */
export async function entryAt(path: string): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  return await orAbsent(lstat(path));
}

async function orAbsent<T>(facts: Promise<T>): Promise<T | undefined> {
  try {
    return await facts;
  } catch (error) {
    if (isAbsent(error)) {
      return undefined;
    }
    throw new InvalidArgumentError(`it cannot be looked at: ${reasonOf(error)}`, { cause: error });
  }
}

async function readable<T>(source: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof RegistryError) {
      throw error;
    }
    throw new InvalidArgumentError(`${source} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}
