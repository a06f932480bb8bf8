/** Bringing the files of a push into its draft: attach what the registry holds, send the rest. */

import { ArtifactService, Upload_State } from "./gen/registry_grpc/v1/artifacts_pb.js";
import type { Upload } from "./gen/registry_grpc/v1/artifacts_pb.js";
import { inParallel } from "./parallel.js";
import type { TransferOptions } from "./progress.js";
import type { Session } from "./session.js";
import { FileSource } from "./sources.js";
import type { HashedFile } from "./tree.js";
import { UploadTask } from "./upload.js";
import { persistedSize } from "./upload_stream.js";

const MAX_PER_CALL = 1000;

/** The files of one draft. */
export class DraftFiles {
  readonly #session: Session;
  readonly #version: string;
  readonly #options: TransferOptions;
  readonly #parallel: number;

  /** `version` is the resource name of the draft. */
  constructor(session: Session, version: string, options: TransferOptions, parallel: number) {
    this.#session = session;
    this.#version = version;
    this.#options = options;
    this.#parallel = parallel;
  }

  /** Make the draft hold these files. Throws RegistryError. */
  async fill(files: readonly HashedFile[]): Promise<void> {
    const present = await this.#present();
    const wanted = files.filter((file) => present.get(file.path) !== file.sha256);
    const held = await this.#held(wanted);
    const toSend = new Map<string, HashedFile>();
    const twins: HashedFile[] = [];
    for (const file of wanted.filter(({ sha256 }) => !held.has(sha256))) {
      if (toSend.has(file.sha256)) {
        twins.push(file);
      } else {
        toSend.set(file.sha256, file);
      }
    }
    // First what is held: it is kept for an hour only, and sending may take longer.
    await this.#attach(wanted.filter(({ sha256 }) => held.has(sha256)));
    const sent = [...toSend.values()];
    const open = await this.#openUploads(sent);
    await inParallel(sent, this.#parallel, this.#options.signal, (file, signal) =>
      new UploadTask(this.#session, this.#version, new FileSource(file), { ...this.#options, signal }).run(
        open.get(file.path),
      ),
    );
    await this.#attach(twins);
  }

  /** SHA-256 of what the draft has, by path. */
  async #present(): Promise<Map<string, string>> {
    const present = new Map<string, string>();
    const query = { parent: this.#version, pageSize: MAX_PER_CALL };
    for await (const file of this.#session.all(ArtifactService.method.listArtifacts, query, this.#options)) {
      present.set(file.path, file.digest?.sha256 ?? "");
    }
    return present;
  }

  /** SHA-256 of the bytes the project holds. */
  async #held(files: readonly HashedFile[]): Promise<Set<string>> {
    const asked = new Map(files.map(({ sha256, sizeBytes }) => [sha256, { sha256, sizeBytes: BigInt(sizeBytes) }]));
    const held = new Set(asked.keys());
    const parent = this.#session.reference(this.#version).modelName.replace(/\/models\/.*$/, "");
    for (const digests of portions([...asked.values()])) {
      const { missing } = await this.#session.artifacts.findMissingArtifacts({ parent, digests }, this.#options);
      for (const { sha256 } of missing) {
        held.delete(sha256);
      }
    }
    return held;
  }

  async #attach(files: readonly HashedFile[]): Promise<void> {
    for (const portion of portions(files)) {
      const attachments = portion.map(({ path, sha256, sizeBytes }) => ({
        path,
        digest: { sha256, sizeBytes: BigInt(sizeBytes) },
      }));
      await this.#session.artifacts.attachArtifacts({ parent: this.#version, attachments }, this.#options);
      for (const { path, sizeBytes } of portion) {
        this.#options.progress?.({ phase: "attach", path, doneBytes: sizeBytes, sizeBytes });
      }
    }
  }

  /** Uploads of an earlier run to go on with, by path; those that cannot be used are cancelled. */
  async #openUploads(files: readonly HashedFile[]): Promise<Map<string, Upload>> {
    const wanted = new Map(files.map((file) => [file.path, file]));
    const usable = new Map<string, Upload>();
    const query = { parent: this.#version, states: [Upload_State.ACTIVE, Upload_State.FINALIZING] };
    for await (const upload of this.#session.all(ArtifactService.method.listUploads, query, this.#options)) {
      const file = wanted.get(upload.path);
      const fits = upload.sha256 === file?.sha256 && upload.sizeBytes === BigInt(file.sizeBytes);
      const best = usable.get(upload.path);
      if (fits && (best === undefined || persistedSize(upload) > persistedSize(best))) {
        usable.set(upload.path, upload);
        await this.#cancel(best);
      } else {
        await this.#cancel(upload);
      }
    }
    return usable;
  }

  async #cancel(upload: Upload | undefined): Promise<void> {
    if (upload?.state === Upload_State.ACTIVE) {
      await this.#session.artifacts.cancelUpload({ name: upload.name }, this.#options);
    }
  }
}

function* portions<T>(items: readonly T[]): Generator<T[]> {
  for (let start = 0; start < items.length; start += MAX_PER_CALL) {
    yield items.slice(start, start + MAX_PER_CALL);
  }
}
