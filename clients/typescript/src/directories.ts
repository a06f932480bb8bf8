/** What is in a directory, compared with what a version holds. */

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { throwIfAborted } from "./exchange.js";
import { PIECE_BYTES, isAbsent } from "./files.js";
import type { FileDigest } from "./manifest.js";
import { entryAt } from "./tree.js";

/** What a directory holds: nothing (or it is not there), exactly the files that were named, or anything else. */
export type Holding = "nothing" | "exactly" | "other";

/** Compares a directory with files, byte by byte. Links in it count as something else. */
export async function holdsExactly(
  root: string,
  files: readonly FileDigest[],
  signal: AbortSignal | undefined,
): Promise<Holding> {
  const facts = await entryAt(root);
  if (facts === undefined) {
    return "nothing";
  }
  if (!facts.isDirectory()) {
    return "other";
  }
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  if (entries.length === 0) {
    return "nothing";
  }
  const wanted = new Map(files.map((file) => [file.path, file]));
  const found = entries.filter((entry) => !entry.isDirectory());
  if (found.length !== wanted.size || found.some((entry) => !entry.isFile())) {
    return "other";
  }
  for (const entry of found) {
    const path = join(entry.parentPath, entry.name);
    const file = wanted.get(relative(root, path).split(sep).join("/"));
    if (file === undefined || !(await isFileOf(path, file, signal))) {
      return "other";
    }
  }
  return "exactly";
}

/** Whether `path` is a regular file with these bytes. */
async function isFileOf(path: string, file: FileDigest, signal: AbortSignal | undefined): Promise<boolean> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const facts = await handle.stat();
    if (!facts.isFile() || BigInt(facts.size) !== file.sizeBytes) {
      return false;
    }
    const digest = createHash("sha256");
    const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, facts.size + 1));
    for (;;) {
      throwIfAborted(signal);
      const { bytesRead } = await handle.read(piece, 0, piece.length, null);
      if (bytesRead === 0) {
        return digest.digest("hex") === file.sha256;
      }
      digest.update(piece.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

/** Make renames in a directory survive a power cut, where the system can. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") {
    return; // Directories cannot be opened there.
  }
  const handle = await open(path).catch((error: unknown) => {
    if (isAbsent(error)) {
      return undefined;
    }
    throw error;
  });
  try {
    await handle?.sync();
  } finally {
    await handle?.close();
  }
}
