/** Digests of versions and ids of files, computed on this side. */

import { createHash } from "node:crypto";

const MANIFEST_HEADER = "registry-grpc manifest v1\n";
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";
const ARTIFACT_ID_CHARS = 26;

/** A file of a version and what its bytes are. */
export interface FileDigest {
  /** Inside the version, `/` between segments. */
  readonly path: string;
  /** 64 lowercase hex characters. */
  readonly sha256: string;
  /** Bytes. */
  readonly sizeBytes: bigint;
}

/** `sha256:` and the hex digest of the file list, sorted by the UTF-8 bytes of the path: what to pin. */
export function manifestDigest(files: Iterable<FileDigest>): string {
  const digest = createHash("sha256").update(MANIFEST_HEADER);
  for (const file of sortedByPath(files)) {
    digest.update(`${file.sha256} ${file.sizeBytes.toString()} ${file.path}\n`);
  }
  return `sha256:${digest.digest("hex")}`;
}

/** In the order of the UTF-8 bytes of the path, which is not that of JavaScript's UTF-16 strings. */
export function sortedByPath<T extends { readonly path: string }>(files: Iterable<T>): T[] {
  const keyed = Array.from(files, (file) => ({ file, key: Buffer.from(file.path) }));
  keyed.sort((left, right) => Buffer.compare(left.key, right.key));
  return keyed.map(({ file }) => file);
}

/** Last segment of the resource name of the file at `path`: base32 of its SHA-256, 26 characters. */
export function artifactId(path: string): string {
  const digest = createHash("sha256").update(path).digest();
  let id = "";
  let bits = 0;
  let held = 0;
  for (const byte of digest) {
    held = ((held << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      id += BASE32.charAt((held >> bits) & 31);
    }
  }
  return id.slice(0, ARTIFACT_ID_CHARS);
}
