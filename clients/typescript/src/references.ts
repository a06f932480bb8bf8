/**
 * References people type: `fraud`, `fraud/7`, `fraud@production`, `team:fraud/7@sha256:…`,
 * `mreg://host:port/team/fraud`.
 *
 * Source: the contract's grammar; `tests/conformance/references.yaml` holds all clients and the server together.
 */

import { InvalidArgumentError } from "./errors.js";

/** Project of a reference that names none. */
export const DEFAULT_PROJECT = "default";
const SCHEME = "mreg://";
const MAX_SHOWN_CHARS = 200;

const ID = "[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?";
const POINTER = "[a-z](?:[a-z0-9._-]{0,61}[a-z0-9])?";
const NUMBER = "[1-9][0-9]{0,17}";
const DIGEST = "sha256:[0-9a-f]{64}";
const TAIL = `(?<model>${ID})(?:/(?<number>${NUMBER}))?(?:@(?:(?<digest>${DIGEST})|(?<pointer>${POINTER})))?`;
const HOST = "(?<host>\\[[0-9a-f:.]+\\]|[A-Za-z0-9.-]+):(?<port>[0-9]{1,5})/";
const SHORT_FORM = new RegExp(`^(?:(?<project>${ID}):)?${TAIL}$`);
const URI_FORM = new RegExp(`^mreg://(?:${HOST})?(?<project>${ID})/${TAIL}$`);
const RESOURCE_NAME = new RegExp(
  `^projects/(?<project>${ID})/models/(?<model>${ID})(?:/versions/(?<number>${NUMBER}))?$`,
);
const ID_FORM = new RegExp(`^${ID}$`);

/** What a reference says. At most one of number (perhaps with digest), digest and pointer selects. */
export interface ReferenceParts {
  /** Id of the project. */
  readonly project: string;
  /** Id of the model. */
  readonly model: string;
  /** Number of a version. */
  readonly number?: bigint | undefined;
  /** Manifest digest; with a number it is checked, alone it selects. */
  readonly digest?: string | undefined;
  /** Stage or alias id; a stage wins. */
  readonly pointer?: string | undefined;
  /** `host:port`, only when the reference was a URI that named one. */
  readonly endpoint?: string | undefined;
}

/** A parsed reference to a model or a version of it. */
export class Reference implements ReferenceParts {
  /** Id of the project. */
  readonly project: string;
  /** Id of the model. */
  readonly model: string;
  /** Number of a version. */
  readonly number: bigint | undefined;
  /** Manifest digest; with a number it is checked, alone it selects. */
  readonly digest: string | undefined;
  /** Stage or alias id; a stage wins. */
  readonly pointer: string | undefined;
  /** `host:port`, only when the reference was a URI that named one. */
  readonly endpoint: string | undefined;

  /** The parts are taken as they are; `parseReference` checks. */
  constructor(parts: ReferenceParts) {
    this.project = parts.project;
    this.model = parts.model;
    this.number = parts.number;
    this.digest = parts.digest;
    this.pointer = parts.pointer;
    this.endpoint = parts.endpoint;
  }

  /** `projects/{project}/models/{model}`. */
  get modelName(): string {
    return `projects/${this.project}/models/${this.model}`;
  }

  /**
   * `projects/{project}/models/{model}/versions/{number}`.
   *
   * @throws {@link InvalidArgumentError} without a number.
   */
  get versionName(): string {
    if (this.number === undefined) {
      throw new InvalidArgumentError(`'${this.toString()}' names no version; write ${this.model}/NUMBER`);
    }
    return `${this.modelName}/versions/${this.number.toString()}`;
  }

  /** The shortest form people type. */
  toString(): string {
    const project = this.project === DEFAULT_PROJECT ? "" : `${this.project}:`;
    const number = this.number === undefined ? "" : `/${this.number.toString()}`;
    const what = this.digest ?? this.pointer;
    return `${project}${this.model}${number}${what === undefined ? "" : `@${what}`}`;
  }
}

/**
 * The reference `text` stands for.
 *
 * @throws {@link InvalidArgumentError} with the accepted forms, when it is none.
 */
export function parseReference(text: string, defaultProject: string = DEFAULT_PROJECT): Reference {
  const found = (text.startsWith(SCHEME) ? URI_FORM : SHORT_FORM).exec(text)?.groups;
  if (found?.["model"] === undefined || (found["number"] !== undefined && found["pointer"] !== undefined)) {
    const shown = text.length <= MAX_SHOWN_CHARS ? text : `${text.slice(0, MAX_SHOWN_CHARS)}…`;
    throw new InvalidArgumentError(
      `${JSON.stringify(shown)} is not a reference; write model, model/7, model@production or model/7@sha256:…, ` +
        "each optionally after `project:`, or mreg://project/model…",
    );
  }
  const { host, port } = found;
  return new Reference({
    project: found["project"] ?? defaultProject,
    model: found["model"],
    number: found["number"] === undefined ? undefined : BigInt(found["number"]),
    digest: found["digest"],
    pointer: found["pointer"],
    endpoint: host === undefined || port === undefined ? undefined : `${host}:${port}`,
  });
}

/** The reference for the resource name of a model or version; undefined when `name` is no such name. */
export function referenceFromName(name: string): Reference | undefined {
  const found = RESOURCE_NAME.exec(name)?.groups;
  if (found?.["project"] === undefined || found["model"] === undefined) {
    return undefined;
  }
  const number = found["number"] === undefined ? undefined : BigInt(found["number"]);
  return new Reference({ project: found["project"], model: found["model"], number });
}

/** Whether `text` may be the id of a project or model. */
export function isId(text: string): boolean {
  return ID_FORM.test(text);
}
