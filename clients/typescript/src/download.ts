/** Reading the bytes of one file: in order, checked chunk by chunk, going on where a cut stream ended. */

import { createHash } from "node:crypto";
import { crc32c } from "@node-rs/crc32";
import type { CallOptions } from "./connection.js";
import { IntegrityError, InvalidArgumentError, RegistryError, UnavailableError } from "./errors.js";
import { ArtifactService } from "./gen/registry_grpc/v1/artifacts_pb.js";
import type { Artifact, ReadArtifactResponse } from "./gen/registry_grpc/v1/artifacts_pb.js";
import type { Session } from "./session.js";
import { Patience } from "./waiting.js";

/** Of one stream; one that got bytes by then simply goes on in the next. */
const CALL_TIMEOUT_MS = 300_000;

/** Which bytes to read. */
export interface Range {
  /** First byte wanted. */
  readonly offset?: number | undefined;
  /** Most bytes wanted; to the end when left out. */
  readonly length?: number | undefined;
}

/**
 * The bytes of a range of `artifact`, at most a chunk at a time; whoever asks for no more holds up the server. Every
 * chunk is checked by its CRC32C, and a whole file by its SHA-256, before the end.
 *
 * @throws RegistryError; IntegrityError when what comes is not what was listed: discard what was read.
 */
export async function* readChunks(
  session: Session,
  artifact: Artifact,
  range: Range = {},
  options: CallOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const size = Number(artifact.digest?.sizeBytes ?? 0n);
  const begin = natural(range.offset ?? 0, "offset");
  const end = Math.min(size, range.length === undefined ? size : begin + natural(range.length, "length"));
  const hash = begin === 0 && end === size ? createHash("sha256") : undefined;
  const patience = new Patience(options.signal);
  let offset = begin;
  // No bytes of what is there: a limit of 0 would mean all of them.
  let isWhole = range.length === 0 && begin < size;
  while (!isWhole) {
    const wished = session.connection.writtenRevision;
    try {
      for await (const content of stream(session, artifact, offset, end, options)) {
        offset += content.length;
        patience.moved();
        hash?.update(content);
        yield content;
      }
      if (offset < end) {
        throw new UnavailableError(
          `the stream of ${artifact.path} ended at byte ${offset.toString()} of ${end.toString()}`,
        );
      }
      isWhole = true;
    } catch (error) {
      if (!(error instanceof RegistryError)) {
        throw error;
      }
      if (!session.connection.forgets(error, wished)) {
        await patience.wait(error);
      }
      isWhole = begin < end && offset >= end;
    }
  }
  if (hash !== undefined && hash.digest("hex") !== artifact.digest?.sha256) {
    throw new IntegrityError(
      `${artifact.path} does not hash to ${artifact.digest?.sha256 ?? ""}; discard what was read`,
      {
        reason: "DIGEST_MISMATCH",
      },
    );
  }
}

async function* stream(
  session: Session,
  artifact: Artifact,
  from: number,
  end: number,
  { signal }: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const request = {
    name: artifact.name,
    readOffset: BigInt(from),
    // 0 means to the end.
    readLimit: BigInt(Math.max(end - from, 0)),
    sha256: artifact.digest?.sha256 ?? "",
  };
  const call = session.connection.serverStream(ArtifactService.method.readArtifact, request, {
    signal,
    timeoutMs: CALL_TIMEOUT_MS,
  });
  let offset = from;
  for await (const answer of call) {
    const content = checked(answer, artifact, offset, end);
    if (content.length > 0) {
      offset += content.length;
      yield content;
    }
  }
}

/** The bytes of one message, which must be the next ones. */
function checked(answer: ReadArtifactResponse, artifact: Artifact, offset: number, end: number): Uint8Array {
  const digest = answer.artifact?.digest;
  if (
    answer.artifact &&
    (digest?.sha256 !== artifact.digest?.sha256 || digest?.sizeBytes !== artifact.digest?.sizeBytes)
  ) {
    throw new IntegrityError(`${artifact.path} was replaced while it was read; read it again`);
  }
  const content = answer.chunk?.content ?? new Uint8Array();
  if (content.length === 0) {
    return content;
  }
  if (Number(answer.offset) !== offset || offset + content.length > end) {
    throw new IntegrityError(
      `the server sent bytes ${answer.offset.toString()} + ${content.length.toString()} of ${artifact.path} ` +
        `for byte ${offset.toString()} up to ${end.toString()}`,
    );
  }
  if (answer.chunk?.crc32c !== undefined && crc32c(content) !== answer.chunk.crc32c) {
    // Damaged on the way; asked for again from here.
    throw new UnavailableError(`a chunk of ${artifact.path} at byte ${offset.toString()} arrived damaged`);
  }
  return content;
}

function natural(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new InvalidArgumentError(`${what} is ${value.toString()}; it must be a whole number of bytes`);
  }
  return value;
}
