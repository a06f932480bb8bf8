/** A registry of one version with one file, which a test has lie about it. */

import { crc32c } from "@node-rs/crc32";
import { Registry, manifestDigest } from "@registry-grpc/client";
import { ArtifactService } from "@registry-grpc/client/v1/artifacts";
import type { ReadArtifactRequest } from "@registry-grpc/client/v1/artifacts";
import { StageService } from "@registry-grpc/client/v1/stages";
import { FakeServer } from "./fake.js";
import { sha256 } from "./kit.js";

/** One message of the stream. */
export interface Piece {
  readonly offset: number;
  readonly content: Buffer;
  readonly crc32c?: number;
}

/** What it says of its file, and how it answers. */
export class Liar implements AsyncDisposable {
  readonly fake = new FakeServer();
  readonly version = "projects/default/models/fraud/versions/1";
  readonly content: Buffer;
  /** What is listed. */
  path = "weights.bin";
  digest: string;
  sizeBytes: number;
  /** What is pinned; that of what is listed unless a test says otherwise. */
  manifest: string | undefined;
  /** Offsets that were asked for. */
  readonly offsets: number[] = [];
  /** What comes for a request; everything in two pieces unless a test says otherwise. */
  answer: (from: number, to: number, call: number) => Iterable<Piece>;

  constructor(content: Buffer) {
    this.content = content;
    this.digest = sha256(content);
    this.sizeBytes = content.length;
    this.answer = (from, to) => this.pieces(from, to);
  }

  get artifact(): { name: string; path: string; digest: { sha256: string; sizeBytes: bigint } } {
    const digest = { sha256: this.digest, sizeBytes: BigInt(this.sizeBytes) };
    return { name: `${this.version}/artifacts/a`, path: this.path, digest };
  }

  async start(): Promise<Registry> {
    this.fake.serve(StageService, {
      resolve: () => ({
        version: this.version,
        versionNumber: 1n,
        manifestDigest:
          this.manifest ??
          manifestDigest([{ path: this.path, sha256: this.digest, sizeBytes: BigInt(this.sizeBytes) }]),
        fileCount: 1,
        artifacts: [this.artifact],
      }),
    });
    this.fake.serve(ArtifactService, {
      getArtifact: () => this.artifact,
      readArtifact: (request) => this.#read(request),
    });
    await this.fake.start();
    return new Registry({ endpoint: this.fake.endpoint, token: "t" });
  }

  /** The right bytes, in pieces of half the file. */
  *pieces(from: number, to: number): Generator<Piece> {
    const step = Math.max(1, Math.ceil(this.content.length / 2));
    for (let at = from; at < to; at += step) {
      const content = this.content.subarray(at, Math.min(at + step, to));
      yield { offset: at, content, crc32c: crc32c(content) };
    }
  }

  async *#read(request: ReadArtifactRequest): AsyncGenerator<object> {
    const from = Number(request.readOffset);
    const to = request.readLimit === 0n ? this.content.length : from + Number(request.readLimit);
    this.offsets.push(from);
    yield { artifact: this.artifact };
    for (const { offset, content, crc32c: sum } of this.answer(from, to, this.offsets.length)) {
      await Promise.resolve();
      yield { offset: BigInt(offset), chunk: sum === undefined ? { content } : { content, crc32c: sum } };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fake[Symbol.asyncDispose]();
  }
}
