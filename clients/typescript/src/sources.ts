/**
 * Where the bytes of an upload come from: a file, which is read again from anywhere, or a stream, of which a part
 * is kept.
 */

import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { IntegrityError, InvalidArgumentError } from "./errors.js";
import { PIECE_BYTES, reasonOf } from "./files.js";
import { changed, requireUnchanged } from "./tree.js";
import type { HashedFile } from "./tree.js";

/** Reads on from one place. */
export interface SourceReader {
  /** Fill the whole of `into`. */
  fill(into: Buffer): Promise<void>;
  /** All was read: is the source still what it was? */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** The bytes of one upload. */
export interface UploadSource {
  readonly path: string;
  readonly sizeBytes: number;
  /** Hex, when known before they are sent. */
  readonly sha256: string | undefined;
  /** Whether it can be read again from its beginning. */
  readonly restarts: boolean;
  /** Read on at `offset`, which is never before what `forget` named. */
  reader(offset: number): Promise<SourceReader>;
  /** Hex digest of all bytes, once they were read. */
  digest(): string;
  /** The bytes before `offset` are safe. */
  forget(offset: number): void;
  /** The error when the registry says that the bytes are not what was declared. */
  mismatch(): IntegrityError;
}

/** A file that was hashed. */
export class FileSource implements UploadSource {
  readonly restarts = true;
  readonly #file: HashedFile;

  constructor(file: HashedFile) {
    this.#file = file;
  }

  get path(): string {
    return this.#file.path;
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes;
  }

  get sha256(): string {
    return this.#file.sha256;
  }

  async reader(offset: number): Promise<SourceReader> {
    const handle = await open(this.#file.source).catch((error: unknown) => {
      throw new InvalidArgumentError(`${this.#file.source} cannot be read: ${reasonOf(error)}`, { cause: error });
    });
    const reader = new FileReader(handle, this.#file, offset);
    try {
      await reader.finish(); // Changed already?
    } catch (error) {
      await handle.close();
      throw error;
    }
    return reader;
  }

  digest(): string {
    return this.#file.sha256;
  }

  forget(): void {
    // Nothing is kept.
  }

  mismatch(): IntegrityError {
    return changed(this.#file);
  }
}

class FileReader implements SourceReader {
  readonly #handle: FileHandle;
  readonly #file: HashedFile;
  #offset: number;

  constructor(handle: FileHandle, file: HashedFile, offset: number) {
    this.#handle = handle;
    this.#file = file;
    this.#offset = offset;
  }

  async fill(into: Buffer): Promise<void> {
    for (let filled = 0; filled < into.length;) {
      const { bytesRead } = await this.#handle.read(into, filled, into.length - filled, this.#offset);
      if (bytesRead === 0) {
        throw changed(this.#file);
      }
      filled += bytesRead;
      this.#offset += bytesRead;
    }
  }

  async finish(): Promise<void> {
    requireUnchanged(this.#file, await this.#handle.stat({ bigint: true }));
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** Bytes that come once. What the registry has not made safe is kept, to be sent again after a cut. */
export class StreamSource implements UploadSource {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256 = undefined;
  readonly restarts = false;
  readonly #input: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  readonly #hash: Hash = createHash("sha256");
  /** Blocks of one size, whatever the pieces are in which the bytes come; only the last may have room. */
  readonly #blocks: Buffer[] = [];
  #digest = "";
  /** Where the first block begins. */
  #keptFrom = 0;
  /** How far the bytes have come. */
  #keptTo = 0;

  constructor(path: string, sizeBytes: number, input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
      throw new InvalidArgumentError(`sizeBytes is ${sizeBytes.toString()}; it must be the size of the file in bytes`);
    }
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.#input = Symbol.asyncIterator in input ? input[Symbol.asyncIterator]() : input[Symbol.iterator]();
  }

  reader(offset: number): Promise<SourceReader> {
    if (offset < this.#keptFrom) {
      throw new IntegrityError(`the registry lost bytes of ${this.path} that it had called safe; upload it again`);
    }
    return Promise.resolve(new StreamReader(this, offset));
  }

  digest(): string {
    this.#digest ||= this.#hash.digest("hex");
    return this.#digest;
  }

  forget(offset: number): void {
    const count = Math.min(Math.floor((offset - this.#keptFrom) / PIECE_BYTES), this.#blocks.length);
    if (count > 0) {
      this.#blocks.splice(0, count);
      this.#keptFrom += count * PIECE_BYTES;
    }
  }

  mismatch(): IntegrityError {
    return new IntegrityError(`the bytes of ${this.path} changed on the way; upload it again`, {
      reason: "DIGEST_MISMATCH",
    });
  }

  /** End the source: it is not needed any more. */
  async close(): Promise<void> {
    await this.#input.return?.();
  }

  /** Copies from `offset` what is kept, or else what comes next; returns how many bytes. */
  async read(offset: number, into: Buffer): Promise<number> {
    while (offset >= this.#keptTo) {
      await this.#take();
    }
    const block = this.#blocks[Math.floor((offset - this.#keptFrom) / PIECE_BYTES)];
    const from = (offset - this.#keptFrom) % PIECE_BYTES;
    return block?.copy(into, 0, from, from + Math.min(into.length, this.#keptTo - offset)) ?? 0;
  }

  /** Refuses a source that has more than was said. */
  async requireEnd(): Promise<void> {
    for (;;) {
      const next = await this.#input.next();
      if (next.done === true) {
        return;
      }
      if (next.value.length > 0) {
        throw this.#wrongSize("more");
      }
    }
  }

  async #take(): Promise<void> {
    const next = await this.#input.next();
    if (next.done === true) {
      throw this.#wrongSize("fewer");
    }
    if (this.#keptTo + next.value.length > this.sizeBytes) {
      throw this.#wrongSize("more");
    }
    this.#hash.update(next.value);
    this.#keep(next.value);
  }

  /** Copies: whoever gives the bytes may use the buffer again. */
  #keep(piece: Uint8Array): void {
    for (let done = 0; done < piece.length;) {
      const filled = (this.#keptTo - this.#keptFrom) % PIECE_BYTES;
      if (filled === 0) {
        this.#blocks.push(Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, this.sizeBytes - this.#keptTo)));
      }
      const part = piece.subarray(done, done + PIECE_BYTES - filled);
      this.#blocks.at(-1)?.set(part, filled);
      done += part.length;
      this.#keptTo += part.length;
    }
  }

  #wrongSize(what: string): InvalidArgumentError {
    return new InvalidArgumentError(
      `the source of ${this.path} has ${what} than the ${this.sizeBytes.toString()} bytes that were declared`,
    );
  }
}

class StreamReader implements SourceReader {
  readonly #source: StreamSource;
  #offset: number;

  constructor(source: StreamSource, offset: number) {
    this.#source = source;
    this.#offset = offset;
  }

  async fill(into: Buffer): Promise<void> {
    for (let filled = 0; filled < into.length;) {
      const count = await this.#source.read(this.#offset, into.subarray(filled));
      filled += count;
      this.#offset += count;
    }
  }

  async finish(): Promise<void> {
    if (this.#offset === this.#source.sizeBytes) {
      await this.#source.requireEnd();
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
