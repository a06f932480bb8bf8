/** Sending one file into a draft, going on at the persisted offset whatever cuts the stream. */

import {
  ConflictError,
  DeadlineExceededError,
  FailedPreconditionError,
  NotFoundError,
  RegistryError,
} from "./errors.js";
import { Upload_State } from "./gen/registry_grpc/v1/artifacts_pb.js";
import type { Artifact, Upload } from "./gen/registry_grpc/v1/artifacts_pb.js";
import type { TransferOptions } from "./progress.js";
import type { Session } from "./session.js";
import type { UploadSource } from "./sources.js";
import { UploadStream, persistedSize } from "./upload_stream.js";
import { Patience, pause } from "./waiting.js";

/** Then a new stream asks: it gets the outcome of a completion that is alive, and takes over one that died. */
const TAKE_OVER_AFTER_MS = 10_000;
const POLL_MS = 200;

/** How to upload a file. */
export interface UploadOptions extends TransferOptions {
  /** Media type; `application/octet-stream` when left out. */
  readonly mediaType?: string | undefined;
}

/** One source on its way into a draft. */
export class UploadTask {
  readonly #session: Session;
  readonly #version: string;
  readonly #source: UploadSource;
  readonly #options: UploadOptions;
  readonly #patience: Patience;

  /** `version` is the resource name of the draft. */
  constructor(session: Session, version: string, source: UploadSource, options: UploadOptions) {
    this.#session = session;
    this.#version = version;
    this.#source = source;
    this.#options = options;
    this.#patience = new Patience(options.signal);
  }

  /**
   * Send it; `open` is an upload of it that was begun already.
   *
   * @throws RegistryError; IntegrityError when the source changed meanwhile.
   */
  async run(open?: Upload): Promise<Artifact> {
    let upload = open ?? (await this.#start());
    let completingSince = Date.now();
    while (upload.state !== Upload_State.COMMITTED) {
      const before = persistedSize(upload);
      if (upload.state !== Upload_State.FINALIZING) {
        completingSince = Date.now();
      }
      upload = await this.#survive(upload, Date.now() - completingSince > TAKE_OVER_AFTER_MS);
      if (persistedSize(upload) > before) {
        this.#patience.moved();
      }
    }
    const { path, sizeBytes } = this.#source;
    this.#options.progress?.({ phase: "upload", path, doneBytes: sizeBytes, sizeBytes });
    return this.#artifactOf(upload);
  }

  #artifactOf(upload: Upload): Artifact {
    if (upload.writeStatus.case !== "artifact") {
      throw new RegistryError(`the registry committed ${this.#source.path} without saying as what`);
    }
    return upload.writeStatus.value;
  }

  async #start(): Promise<Upload> {
    const { path, sizeBytes, sha256 } = this.#source;
    return this.#session.artifacts.startUpload(
      {
        parent: this.#version,
        path,
        sizeBytes: BigInt(sizeBytes),
        sha256: sha256 ?? "",
        mediaType: this.#options.mediaType ?? "",
      },
      this.#options,
    );
  }

  /** One more step, or after a failure that passes where the upload stands then. */
  async #survive(upload: Upload, takeOver: boolean): Promise<Upload> {
    try {
      return await this.#step(upload, takeOver);
    } catch (error) {
      if (!(error instanceof RegistryError)) {
        throw error;
      }
      if (this.#canStartAgain(error)) {
        await this.#patience.wait(new DeadlineExceededError(error.message, { reason: error.reason, cause: error }));
        return this.#start();
      }
      await this.#patience.wait(this.#explained(error));
      return this.#look(upload);
    }
  }

  /** The upload after one more stream, or after one more look while the server completes it. */
  async #step(upload: Upload, takeOver: boolean): Promise<Upload> {
    const { path } = this.#source;
    if (upload.state === Upload_State.FINALIZING && !takeOver) {
      await pause(POLL_MS, this.#options.signal);
      return this.#get(upload.name);
    }
    if (upload.state !== Upload_State.ACTIVE && upload.state !== Upload_State.FINALIZING) {
      const state = Upload_State[upload.state];
      throw new FailedPreconditionError(`the upload of ${path} is ${state}: ${upload.failure || "start it again"}`, {
        reason: "UPLOAD_CLOSED",
      });
    }
    this.#source.forget(persistedSize(upload));
    const answer = await new UploadStream(this.#session, this.#source, upload, this.#options).run();
    if (answer.state === Upload_State.ACTIVE) {
      throw new DeadlineExceededError(`the server closed the upload of ${path} early`);
    }
    return answer;
  }

  async #look(upload: Upload): Promise<Upload> {
    for (;;) {
      try {
        return await this.#get(upload.name);
      } catch (error) {
        if (!(error instanceof RegistryError)) {
          throw error;
        }
        if (this.#canStartAgain(error)) {
          return this.#start();
        }
        await this.#patience.wait(error);
      }
    }
  }

  #get(name: string): Promise<Upload> {
    return this.#session.artifacts.getUpload({ name }, this.#options);
  }

  /** The upload expired or was cancelled; another one can be started when the source can be read again. */
  #canStartAgain(error: RegistryError): boolean {
    const isGone =
      (error instanceof NotFoundError || error instanceof FailedPreconditionError) &&
      (error.reason === "UPLOAD_NOT_FOUND" || error.reason === "UPLOAD_CLOSED");
    return isGone && this.#source.restarts;
  }

  #explained(error: RegistryError): RegistryError {
    if (error.reason === "DIGEST_MISMATCH") {
      return this.#source.mismatch();
    }
    if (error.reason === "UPLOAD_SUPERSEDED") {
      return new ConflictError(
        `another process uploads ${this.#source.path} of the same version; let one of them finish`,
        { reason: error.reason, metadata: error.metadata, cause: error },
      );
    }
    return error;
  }
}
