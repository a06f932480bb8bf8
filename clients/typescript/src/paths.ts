/**
 * Paths inside a version, judged on this side too: nothing the server says about files is taken on trust.
 *
 * Source: the path rules of OpenSSF Model Signing, and Windows' reserved names; `tests/conformance/manifests.yaml`
 * holds all clients and the server together.
 */

import { caseFold } from "./casefold.js";
import { IntegrityError, InvalidArgumentError } from "./errors.js";
import type { FileDigest } from "./manifest.js";

const MAX_PATH_BYTES = 1024;
const MAX_PATH_SEGMENTS = 32;
const RESERVED = new Set([".", "..", ".git"]);
const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|com[1-9]|lpt[1-9])$/;
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const SHA256 = /^[0-9a-f]{64}$/;

/** What is wrong with `path` as a path inside a version; empty when nothing is. */
export function pathFault(path: string): string {
  if (path === "") {
    return "must not be empty";
  }
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    return `is longer than ${MAX_PATH_BYTES.toString()} bytes of UTF-8`;
  }
  if (UNPRINTABLE.test(path)) {
    return "has a control, format or surrogate character";
  }
  if (path.includes("\\") || path.includes(":")) {
    return "has a backslash or colon; use / between segments";
  }
  const segments = path.split("/");
  if (segments.length > MAX_PATH_SEGMENTS) {
    return `has more than ${MAX_PATH_SEGMENTS.toString()} segments`;
  }
  return segments.map(segmentFault).find((fault) => fault !== "") ?? "";
}

function segmentFault(segment: string): string {
  if (segment === "") {
    return "is absolute, or has an empty segment";
  }
  const lower = segment.toLowerCase();
  if (RESERVED.has(lower)) {
    return `has the reserved segment '${segment}'`;
  }
  if (WINDOWS_DEVICE.test(lower.split(".", 1)[0] ?? "")) {
    return `has the segment '${segment}', a device on Windows`;
  }
  if (/[. ]$/.test(segment) || segment.startsWith(" ")) {
    return `has a segment with a leading space or trailing dot or space: '${segment}'`;
  }
  return "";
}

/** Two of `paths` some file system takes for one, or for a file and a directory, as a sentence; else empty. */
export function collision(paths: Iterable<string>): string {
  const seen = new Map<string, string>();
  for (const path of paths) {
    const folded = caseFold(path);
    const other = seen.get(folded);
    if (other !== undefined) {
      return `'${path}' and '${other}' differ only by case or Unicode form`;
    }
    seen.set(folded, path);
  }
  for (const [folded, path] of seen) {
    for (let at = folded.indexOf("/"); at >= 0; at = folded.indexOf("/", at + 1)) {
      const parent = seen.get(folded.slice(0, at));
      if (parent !== undefined) {
        return `'${path}' and '${parent}': one cannot be a directory and a file`;
      }
    }
  }
  return "";
}

/**
 * Refuse to push paths that would not be the same files on another system.
 *
 * @throws {@link InvalidArgumentError}
 */
export function checkPaths(paths: readonly string[]): void {
  for (const path of paths) {
    const fault = pathFault(path);
    if (fault !== "") {
      throw new InvalidArgumentError(`the file ${JSON.stringify(path)} ${fault}; rename it and push again`);
    }
  }
  const fault = collision(paths);
  if (fault !== "") {
    throw new InvalidArgumentError(`${fault}; rename one and push again`);
  }
}

/**
 * Refuse a file list from a server that could write outside its directory or hide a file behind another.
 *
 * @throws {@link IntegrityError}
 */
export function checkServed(files: readonly FileDigest[]): void {
  for (const file of files) {
    const shown = JSON.stringify(file.path);
    const fault = pathFault(file.path);
    if (fault !== "") {
      throw new IntegrityError(`the server sent the path ${shown}, which ${fault}; nothing was written`);
    }
    if (!SHA256.test(file.sha256) || file.sizeBytes < 0n) {
      throw new IntegrityError(`the server sent no usable digest for ${shown}; nothing was written`);
    }
  }
  const fault = collision(files.map((file) => file.path));
  if (fault !== "") {
    throw new IntegrityError(`the server sent paths that collide: ${fault}; nothing was written`);
  }
}
