/** One WriteUpload call. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { DeadlineExceededError } from "./errors.js";
import type { Exchange } from "./exchange.js";
import { PIECE_BYTES } from "./files.js";
import {
  ArtifactService,
  GetUploadRequestSchema,
  UploadSchema,
  WriteUploadRequestSchema,
} from "./gen/registry_grpc/v1/artifacts_pb.js";
import type { Upload } from "./gen/registry_grpc/v1/artifacts_pb.js";
import type { TransferOptions } from "./progress.js";
import type { Session } from "./session.js";
import type { SourceReader, UploadSource } from "./sources.js";
import { pause } from "./waiting.js";
import { chunkMessage } from "./wire.js";

/** Without a chunk taken by the transport the stream counts as dead. */
const STALL_TIMEOUT_MS = 120_000;
/** From the last chunk to the answer: a resumed upload is read back once before it completes. */
const COMPLETE_TIMEOUT_MS = 900_000;
/** How often a stream source asks what of it is safe, in bytes sent. */
const ASK_EVERY_BYTES = 8 << 20;
/** Parts sent behind what is safe: of two parts the first is whole, so that it becomes safe whatever comes next. */
const MAX_PARTS_AHEAD = 2;
const SMALLEST_PART_BYTES = 16 << 20;
const ASK_PAUSE_MS = 50;

/** Bytes of an upload that are safe. */
export function persistedSize(upload: Upload): number {
  const { writeStatus } = upload;
  return writeStatus.case === "persistedSize" ? Number(writeStatus.value) : 0;
}

/** Sends a source from where an upload stands to its end. */
export class UploadStream {
  readonly #session: Session;
  readonly #source: UploadSource;
  readonly #options: TransferOptions;
  readonly #name: string;
  readonly #chunkBytes: number;
  readonly #maxAheadBytes: number;
  #offset: number;
  #askedAt: number;

  constructor(session: Session, source: UploadSource, upload: Upload, options: TransferOptions) {
    this.#session = session;
    this.#source = source;
    this.#options = options;
    this.#name = upload.name;
    this.#offset = persistedSize(upload);
    this.#askedAt = this.#offset;
    this.#maxAheadBytes = MAX_PARTS_AHEAD * Math.max(SMALLEST_PART_BYTES, Number(upload.rewindBytes));
    this.#chunkBytes = Math.min(PIECE_BYTES, Number(upload.maxChunkBytes) || PIECE_BYTES);
  }

  /** The upload as the server answers it. Throws RegistryError. */
  async run(): Promise<Upload> {
    const reader = await this.#source.reader(this.#offset);
    try {
      return await this.#call(reader);
    } finally {
      await reader.close();
    }
  }

  async #call(reader: SourceReader): Promise<Upload> {
    const { connection } = this.#session;
    const exchange = connection.exchange(ArtifactService.method.writeUpload, { signal: this.#options.signal });
    try {
      await this.#send(exchange, reader);
      const answer = await within(exchange, COMPLETE_TIMEOUT_MS, this.#source.path, exchange.next());
      const { trailers } = await exchange.ending();
      connection.noteWrite(trailers);
      return fromBinary(UploadSchema, answer ?? new Uint8Array());
    } finally {
      exchange.cancel();
    }
  }

  /** Until the end, or until the server ended the call: why, its answer tells. */
  async #send(exchange: Exchange, reader: SourceReader): Promise<void> {
    const { path, sizeBytes } = this.#source;
    let name = this.#name;
    let taken: Promise<void> = Promise.resolve();
    while (this.#offset < sizeBytes && !exchange.isOver) {
      // The next chunk is made while the transport takes the last one: two are in memory.
      const chunk = chunkMessage(name, this.#offset, Math.min(this.#chunkBytes, sizeBytes - this.#offset));
      await reader.fill(chunk.content);
      const message = chunk.seal();
      await within(exchange, STALL_TIMEOUT_MS, path, taken);
      this.#tell();
      taken = exchange.write(message);
      name = "";
      this.#offset += chunk.content.length;
      await this.#makeRoom(exchange);
    }
    await within(exchange, STALL_TIMEOUT_MS, path, taken);
    if (exchange.isOver) {
      return;
    }
    this.#tell();
    await reader.finish();
    await exchange.write(this.#last(name));
    exchange.halfClose();
  }

  #last(name: string): Buffer {
    const { sizeBytes } = this.#source;
    const digest = { sha256: this.#source.digest(), sizeBytes: BigInt(sizeBytes) };
    const last = { name, writeOffset: BigInt(sizeBytes), finishWrite: true, digest };
    return Buffer.from(toBinary(WriteUploadRequestSchema, create(WriteUploadRequestSchema, last)));
  }

  #tell(): void {
    const { path, sizeBytes } = this.#source;
    this.#options.progress?.({ phase: "upload", path, doneBytes: this.#offset, sizeBytes });
  }

  /** Let go of what is safe by now; wait when too much is not. */
  async #makeRoom(exchange: Exchange): Promise<void> {
    if (this.#source.restarts || this.#offset - this.#askedAt < ASK_EVERY_BYTES) {
      return;
    }
    this.#askedAt = this.#offset;
    do {
      const request = create(GetUploadRequestSchema, { name: this.#name });
      const upload = await this.#session.artifacts.getUpload(request, this.#options);
      this.#source.forget(persistedSize(upload));
      // Not what is held: after a cut that may be much that is still to be sent again.
      if (this.#offset - persistedSize(upload) < this.#maxAheadBytes) {
        return;
      }
      await pause(ASK_PAUSE_MS, this.#options.signal);
    } while (!exchange.isOver);
  }
}

/** What `work` comes to; ends the call when that takes too long. */
async function within<T>(exchange: Exchange, limitMs: number, path: string, work: Promise<T>): Promise<T> {
  // Not narrowed to false: the timer changes it.
  let isLate = false as boolean;
  const timer = setTimeout(() => {
    isLate = true;
    exchange.cancel();
  }, limitMs);
  try {
    return await work;
  } catch (error) {
    throw isLate
      ? new DeadlineExceededError(`the upload of ${path} made no progress for ${String(limitMs / 1000)} s`)
      : error;
  } finally {
    clearTimeout(timer);
  }
}
