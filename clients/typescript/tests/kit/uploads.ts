/** A registry that takes one upload at a time, and breaks it off where a test says. */

import { crc32c } from "@node-rs/crc32";
import { Registry } from "@registry-grpc/client";
import { ArtifactService, Upload_State as State } from "@registry-grpc/client/v1/artifacts";
import type { StartUploadRequest, WriteUploadRequest } from "@registry-grpc/client/v1/artifacts";
import { FakeServer, Failure } from "./fake.js";
import { sha256 } from "./kit.js";

interface Answer {
  readonly name: string;
  readonly state: State;
  readonly sizeBytes: bigint;
  readonly maxChunkBytes: bigint;
  readonly rewindBytes: bigint;
  readonly failure: string;
  readonly writeStatus:
    | { readonly case: "persistedSize"; readonly value: bigint }
    | { readonly case: "artifact"; readonly value: { readonly name: string; readonly path: string } };
}

/** Where it stands. */
export class Uploads implements AsyncDisposable {
  readonly fake = new FakeServer();
  readonly starts: StartUploadRequest[] = [];
  /** First offset of each stream. */
  readonly offsets: bigint[] = [];
  received = Buffer.alloc(0);
  state = State.ACTIVE;
  failure = "";
  looks = 0;
  /** Bytes that survive a cut are a multiple of this. */
  partBytes = 1 << 20;
  /** Bytes that came and are not safe yet, besides what is less than a part. */
  lagBytes = 0;
  /** Called for each message; may throw. */
  onMessage: (message: WriteUploadRequest, stream: number) => void = () => undefined;
  /** Called when the last message came; may throw. */
  onFinish: (message: WriteUploadRequest) => void = () => undefined;
  /** Called before the state is told. */
  onLook: (looks: number) => void = () => undefined;

  async start(): Promise<Registry> {
    this.fake.serve(ArtifactService, {
      startUpload: (request) => {
        this.starts.push(request);
        this.received = Buffer.alloc(0);
        this.state = State.ACTIVE;
        return this.#answer();
      },
      getUpload: () => {
        this.looks += 1;
        this.onLook(this.looks);
        return this.#answer();
      },
      writeUpload: (requests) => Promise.race([this.#take(requests), this.#cutting()]),
    });
    await this.fake.start();
    return new Registry({ endpoint: this.fake.endpoint, token: "t" });
  }

  /** Break off the stream that is open. */
  cut: () => void = () => undefined;

  /** All of it is there. */
  commit(): void {
    this.state = State.COMMITTED;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fake[Symbol.asyncDispose]();
  }

  get persisted(): number {
    return Math.max(0, this.received.length - (this.received.length % this.partBytes) - this.lagBytes);
  }

  #cutting(): Promise<never> {
    return new Promise((_, reject) => {
      this.cut = () => {
        reject(new Failure("UNAVAILABLE", "SHUTTING_DOWN"));
      };
    });
  }

  async #take(requests: AsyncIterable<WriteUploadRequest>): Promise<Answer> {
    const stream = this.offsets.length;
    let isFirst = true;
    this.received = this.received.subarray(0, this.persisted);
    for await (const message of requests) {
      if (isFirst) {
        this.offsets.push(message.writeOffset);
        isFirst = false;
      }
      this.onMessage(message, stream);
      if (stream < this.offsets.length - 1) {
        break; // It was cut, and another took its place.
      }
      const { content, crc32c: sum } = message.chunk ?? { content: new Uint8Array(), crc32c: 0 };
      if (Number(message.writeOffset) !== this.received.length || crc32c(content) !== sum) {
        throw new Failure("INVALID_ARGUMENT", "INVALID_FIELD");
      }
      this.received = Buffer.concat([this.received, content]);
      if (message.finishWrite) {
        this.onFinish(message);
        if (message.digest?.sha256 !== sha256(this.received)) {
          throw new Failure("FAILED_PRECONDITION", "DIGEST_MISMATCH");
        }
        this.commit();
      }
    }
    return this.#answer();
  }

  #answer(): Answer {
    const { path = "", sizeBytes = 0n } = this.starts.at(-1) ?? {};
    return {
      name: `projects/default/uploads/${String(this.starts.length)}`,
      state: this.state,
      sizeBytes,
      maxChunkBytes: 2n << 20n,
      rewindBytes: BigInt(this.partBytes),
      failure: this.failure,
      writeStatus:
        this.state === State.COMMITTED
          ? { case: "artifact", value: { name: "made", path } }
          : { case: "persistedSize", value: BigInt(this.persisted) },
    };
  }
}
