/** A connection, the project short names are in, and the services. */

import type { DescMessage, DescMethodUnary, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { allItems, serviceClient } from "./client.js";
import type { Item, ServiceClient } from "./client.js";
import type { CallOptions, Connection } from "./connection.js";
import { IntegrityError, InvalidArgumentError } from "./errors.js";
import { ArtifactService } from "./gen/registry_grpc/v1/artifacts_pb.js";
import { ModelService } from "./gen/registry_grpc/v1/models_pb.js";
import { ResolveView, StageService } from "./gen/registry_grpc/v1/stages_pb.js";
import type { ResolveResponse } from "./gen/registry_grpc/v1/stages_pb.js";
import { Reference, isId, parseReference, referenceFromName } from "./references.js";

/** What the transfers and the Registry stand on. */
export class Session {
  readonly connection: Connection;
  readonly models: ServiceClient<typeof ModelService>;
  readonly stages: ServiceClient<typeof StageService>;
  readonly artifacts: ServiceClient<typeof ArtifactService>;

  constructor(connection: Connection) {
    this.connection = connection;
    this.models = this.service(ModelService);
    this.stages = this.service(StageService);
    this.artifacts = this.service(ArtifactService);
  }

  /** Id of the project a short reference is in. */
  get project(): string {
    return this.connection.settings.project;
  }

  /** Where the registry is. */
  get endpoint(): string {
    return this.connection.settings.endpoint;
  }

  /** Any service of the contract over this connection. */
  service<S extends DescService>(service: S): ServiceClient<S> {
    return serviceClient(this.connection, service);
  }

  /** Every item of a list. */
  all<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): AsyncGenerator<Item<MessageShape<O>>, void, undefined> {
    return allItems(this.connection, method, request, options);
  }

  /**
   * A reference in this registry, from any form people type or a resource name.
   *
   * @throws InvalidArgumentError, also when it names another registry: a token is never sent where a text says.
   */
  reference(text: string | Reference): Reference {
    const found = text instanceof Reference ? text : (referenceFromName(text) ?? parseReference(text, this.project));
    const here = this.endpoint.split("//").at(-1)?.split(",") ?? [];
    if (found.endpoint !== undefined && !here.includes(found.endpoint)) {
      throw new InvalidArgumentError(
        `${text.toString()} is in the registry at ${found.endpoint}, this client talks to ${this.endpoint}; ` +
          `connect to it with the option endpoint or MREG_ENDPOINT=${found.endpoint}`,
      );
    }
    return found;
  }

  /**
   * The reference of a model given in any form without a version.
   *
   * @throws InvalidArgumentError
   */
  modelReference(model: string | Reference): Reference {
    const found = this.reference(model);
    if ((found.number ?? found.digest ?? found.pointer) !== undefined) {
      throw new InvalidArgumentError(`${model.toString()} is a version; a model is wanted here, e.g. ${found.model}`);
    }
    return found;
  }

  /**
   * `projects/{project}`; the one of this client when none is given.
   *
   * @throws InvalidArgumentError
   */
  projectName(project?: string): string {
    const chosen = (project ?? this.project).replace(/^projects\//, "");
    if (!isId(chosen)) {
      throw new InvalidArgumentError(
        `project '${chosen}' is no valid id: lower-case letters, digits, '.', '_' and '-'`,
      );
    }
    return `projects/${chosen}`;
  }

  /** The version `ref` stands for now; see {@link Registry.resolve}. */
  async resolve(ref: string | Reference, options: ResolveOptions = {}): Promise<ResolveResponse> {
    const found = this.reference(ref);
    const request = {
      name: found.modelName,
      selector: selectorOf(found),
      ifChangedSince: options.ifChangedSince ?? 0n,
      view: options.full === true ? ResolveView.FULL : ResolveView.BASIC,
    };
    const answer = await this.stages.resolve(request, options);
    if (found.digest !== undefined && !answer.unchanged && answer.manifestDigest !== found.digest) {
      throw new IntegrityError(
        `${answer.version} has manifest digest ${answer.manifestDigest}, ${found.toString()} pins another; ` +
          "do not load it, and find out who changed the reference or the registry",
        { reason: "DIGEST_MISMATCH", metadata: { expected: found.digest, actual: answer.manifestDigest } },
      );
    }
    return answer;
  }

  /** Resource name of the version `ref` stands for now. A number is taken as it is: it may be that of a draft. */
  async versionName(ref: string | Reference, options?: CallOptions): Promise<string> {
    const found = this.reference(ref);
    if (found.number !== undefined && found.digest === undefined) {
      return found.versionName;
    }
    return (await this.resolve(found, options)).version;
  }
}

/** How to resolve. */
export interface ResolveOptions extends CallOptions {
  /**
   * `pointerRevision` of an earlier answer: while it is still that, the answer is `unchanged` and otherwise
   * empty.
   */
  readonly ifChangedSince?: bigint;
  /** Answer the first 1000 files, too. */
  readonly full?: boolean;
}

type Selector = NonNullable<MessageInitShape<(typeof StageService)["method"]["resolve"]["input"]>["selector"]>;

function selectorOf(found: Reference): Selector {
  if (found.number !== undefined) {
    return { case: "version", value: found.number };
  }
  if (found.digest !== undefined) {
    return { case: "manifestDigest", value: found.digest };
  }
  if (found.pointer !== undefined) {
    return { case: "reference", value: found.pointer };
  }
  return { case: "alias", value: "latest" };
}
