/** The client: `const registry = new Registry(); await registry.pull("fraud@production", "./model")`. */

import { Readable } from "node:stream";
import type { DescMessage, DescMethodUnary, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Item, ServiceClient } from "./client.js";
import { Connection } from "./connection.js";
import type { CallOptions } from "./connection.js";
import { readChunks } from "./download.js";
import type { Range } from "./download.js";
import type { Artifact } from "./gen/registry_grpc/v1/artifacts_pb.js";
import type { ArtifactService } from "./gen/registry_grpc/v1/artifacts_pb.js";
import type { ModelService } from "./gen/registry_grpc/v1/models_pb.js";
import { ServerService } from "./gen/registry_grpc/v1/server_pb.js";
import type { ServerInfo } from "./gen/registry_grpc/v1/server_pb.js";
import type { ResolveResponse, StageService } from "./gen/registry_grpc/v1/stages_pb.js";
import type { ModelVersion } from "./gen/registry_grpc/v1/versions_pb.js";
import { artifactId } from "./manifest.js";
import { checkPaths } from "./paths.js";
import { pullVersion } from "./pull.js";
import type { PullOptions } from "./pull.js";
import { pushVersion } from "./push.js";
import type { PushOptions, VersionFields } from "./push.js";
import type { Reference } from "./references.js";
import { Session } from "./session.js";
import type { ResolveOptions } from "./session.js";
import { loadSettings } from "./settings.js";
import type { RegistryOptions } from "./settings.js";
import { FileSource, StreamSource } from "./sources.js";
import { hashFile, localFile } from "./tree.js";
import { UploadTask } from "./upload.js";
import type { UploadOptions } from "./upload.js";
import { Watch, watchTarget } from "./watch.js";
import type { WatchOptions } from "./watch.js";

/** Bytes that come in pieces; a Node stream is one, and so is a web stream. */
export type ByteStream = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * A registry. Answers are the contract's messages; every call throws RegistryError.
 *
 * Nothing is connected before the first call. A read through it never misses a write made through it. `close` it, or
 * let `using` do that; a process that ends need not.
 */
export class Registry implements Disposable {
  readonly #session: Session;

  /**
   * What is left out is taken from `MREG_ENDPOINT`, `MREG_TOKEN`, `MREG_TOKEN_FILE`, `MREG_CA_FILE` and `MREG_PROJECT`.
   * A loopback endpoint is plaintext unless there is a CA or client certificate, and uses the admin token of this
   * user's `mreg serve`; any other is TLS unless `insecure`.
   *
   * @throws InvalidArgumentError
   */
  constructor(options: RegistryOptions = {}) {
    this.#session = new Session(new Connection(loadSettings(options)));
  }

  /** Where the registry is. */
  get endpoint(): string {
    return this.#session.endpoint;
  }

  /** Id of the project a short reference is in. */
  get project(): string {
    return this.#session.project;
  }

  /** The connection, for what has no method here. */
  get connection(): Connection {
    return this.#session.connection;
  }

  /** Models, versions and aliases. */
  get models(): ServiceClient<typeof ModelService> {
    return this.#session.models;
  }

  /** Stages: resolve, promote, roll back, look back. */
  get stages(): ServiceClient<typeof StageService> {
    return this.#session.stages;
  }

  /** Files and uploads, one call each. */
  get artifacts(): ServiceClient<typeof ArtifactService> {
    return this.#session.artifacts;
  }

  /** Any service of the contract: `registry.service(LineageService).getLineage({…})`. */
  service<S extends DescService>(service: S): ServiceClient<S> {
    return this.#session.service(service);
  }

  /** Every item of a list: `for await (const model of registry.all(ModelService.method.listModels, { parent }))`. */
  all<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): AsyncGenerator<Item<MessageShape<O>>, void, undefined> {
    return this.#session.all(method, request, options);
  }

  /** A reference in this registry, from any form people type or a resource name. Throws InvalidArgumentError. */
  reference(text: string | Reference): Reference {
    return this.#session.reference(text);
  }

  /** `projects/{project}`; the one of this client when none is given. Throws InvalidArgumentError. */
  projectName(project?: string): string {
    return this.#session.projectName(project);
  }

  /** Versions, limits and features of the server, and who this client is to it. */
  async serverInfo(options?: CallOptions): Promise<ServerInfo> {
    const info = await this.connection.unary(ServerService.method.getServerInfo, {}, options);
    this.connection.noteRegistry(info.registryUid);
    return info;
  }

  /**
   * The version `ref` stands for now; a bare model name means its newest READY version.
   *
   * @throws IntegrityError when a pinned digest is not that of the version.
   */
  resolve(ref: string | Reference, options?: ResolveOptions): Promise<ResolveResponse> {
    return this.#session.resolve(ref, options);
  }

  /**
   * `directory`, which then holds the files of the version `ref` stands for now and nothing else, every byte checked
   * against its digest. It appears whole or not at all. Memory: a few MiB for each file of `parallel`.
   *
   * @throws IntegrityError, and FailedPreconditionError when `directory` holds anything else.
   */
  async pull(ref: string | Reference, directory: string, options: PullOptions = {}): Promise<string> {
    const lasting = this.#untilClosed(options);
    return pullVersion(this.#session, await this.resolve(ref, { ...lasting, full: true }), directory, lasting);
  }

  /**
   * A version with these files and metadata, made or found again; READY unless `finalize` is off.
   *
   * A directory gives its content, `.git` left out; of several paths a directory keeps its name. The same push again
   * sends only what is missing, and once finalized returns the same version, unless `forceNew`. Bytes the project
   * holds are not sent. Memory: a few MiB for each file of `parallel`.
   *
   * @throws IntegrityError when a file changes meanwhile.
   */
  async push(
    model: string | Reference,
    paths: string | readonly string[],
    fields: VersionFields = {},
    options: PushOptions = {},
  ): Promise<ModelVersion> {
    const found = this.#session.modelReference(model);
    return pushVersion(this.#session, found, paths, fields, this.#untilClosed(options));
  }

  /**
   * One local file, now `path` of the draft `version`. A cut goes on where the registry has the bytes; bytes the
   * project holds are not sent.
   *
   * @throws IntegrityError when the file changes meanwhile.
   */
  async uploadFile(
    version: string | Reference,
    path: string,
    source: string,
    options: UploadOptions = {},
  ): Promise<Artifact> {
    checkPaths([path]);
    const lasting = this.#untilClosed(options);
    const draft = this.reference(version).versionName;
    const file = await hashFile(await localFile(path, source), lasting.progress, lasting.signal);
    return new UploadTask(this.#session, draft, new FileSource(file), lasting).run();
  }

  /**
   * The same for bytes that come once, of which the size is known. What the registry has not made safe is kept in
   * memory, two parts of it (32 MiB, more for files above 160 GB), so that a cut can be survived.
   */
  async uploadStream(
    version: string | Reference,
    path: string,
    source: ByteStream,
    sizeBytes: number,
    options: UploadOptions = {},
  ): Promise<Artifact> {
    checkPaths([path]);
    const stream = new StreamSource(path, sizeBytes, source);
    try {
      const draft = this.reference(version).versionName;
      return await new UploadTask(this.#session, draft, stream, this.#untilClosed(options)).run();
    } finally {
      await stream.close();
    }
  }

  /** One file of a version. */
  async artifact(ref: string | Reference, path: string, options?: CallOptions): Promise<Artifact> {
    const version = await this.#session.versionName(ref, options);
    return this.artifacts.getArtifact({ name: `${version}/artifacts/${artifactId(path)}` }, options);
  }

  /**
   * The bytes of a file, or of a range of it, as they are asked for: `for await (const chunk of
   * registry.read(artifact))`. Every chunk is checked by its CRC32C, a whole file also by its SHA-256; a cut goes on
   * where it was.
   *
   * @param artifact the file, or its resource name
   * @throws IntegrityError before the end, when the bytes are not what they should be: discard what was read.
   */
  async *read(
    artifact: Artifact | string,
    range: Range = {},
    options: CallOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const lasting = this.#untilClosed(options);
    const found =
      typeof artifact === "string" ? await this.artifacts.getArtifact({ name: artifact }, lasting) : artifact;
    yield* readChunks(this.#session, found, range, lasting);
  }

  /** The same as a Node stream. */
  openRead(artifact: Artifact | string, range?: Range, options?: CallOptions): Readable {
    return Readable.from(this.read(artifact, range, options), { objectMode: false, highWaterMark: 0 });
  }

  /**
   * Changes as they happen: `for await (const change of registry.watch("fraud@production"))`.
   *
   * `target` is a model, a model with a stage, `projects/{project}`, left out for the project of this client, or
   * `EVERYTHING`. It begins with the present state unless `state` is false, or goes on where `resumeToken` stands;
   * without `state` it throws when the registry no longer knows that place. A target with a stage means only `Stage`.
   *
   * @throws InvalidArgumentError for a target that is a version; NotFoundError, PermissionDeniedError and
   * UnauthenticatedError while it is read. Whatever passes by itself is waited for.
   */
  watch(target?: string, options: WatchOptions = {}): Watch {
    const { parent, types, stages } = watchTarget(this.#session, target, options);
    return new Watch(this.#session, parent, { ...this.#untilClosed(options), types, stages });
  }

  /**
   * End the connection; calls, transfers and watches still open end with CancelledError. A later call connects
   * again.
   */
  close(): void {
    this.connection.close();
  }

  /** What consists of several calls must not go on, and connect again, after `close`. */
  #untilClosed<T extends CallOptions>(options: T): T & { readonly signal: AbortSignal } {
    const { lifetime } = this.connection;
    return {
      ...options,
      signal: options.signal === undefined ? lifetime : AbortSignal.any([options.signal, lifetime]),
    };
  }

  /** Closes at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }
}
