/** Where the bearer token of each call comes from: given, or a file that may be rotated. */

import { existsSync, readFileSync, statSync } from "node:fs";
import type { Stats } from "node:fs";
import { reasonOf } from "./files.js";
import { UnauthenticatedError } from "./errors.js";

/** Permission bits of everybody but the owner. */
const OTHERS = 0o077;

/** Gives the bearer token of a call. */
export interface TokenSource {
  /** Where the token comes from, for people; never the token. */
  readonly origin: string;
  /**
   * The token now; empty for none.
   *
   * @throws {@link UnauthenticatedError} when it cannot be had.
   */
  token(): string;
}

/** A token that never changes; the empty one is none. */
export function fixedToken(token: string): TokenSource {
  return { origin: token === "" ? "none" : "given", token: () => token };
}

/** Reads a file again when it changed, so that rotated tokens are picked up. */
export class TokenFile implements TokenSource {
  readonly origin: string;
  readonly #found: boolean;
  #seen = "";
  #token = "";

  /** `found` is a file nobody named: it may be absent, and must be this user's alone. */
  constructor(path: string, { found = false }: { readonly found?: boolean } = {}) {
    this.origin = path;
    this.#found = found;
  }

  token(): string {
    try {
      return this.#found && !existsSync(this.origin) ? "" : this.#read(statSync(this.origin));
    } catch (error) {
      if (error instanceof UnauthenticatedError) {
        throw error;
      }
      throw new UnauthenticatedError(`the token file ${this.origin} cannot be read: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  }

  #read(facts: Stats): string {
    if (this.#found && ((facts.mode & OTHERS) !== 0 || facts.uid !== process.geteuid?.())) {
      throw new UnauthenticatedError(
        `${this.origin} can be read by others or is not yours; ` +
          "chmod 600 it, or make a new token if someone may have seen it",
      );
    }
    const seen = `${facts.mtimeMs.toString()} ${facts.ino.toString()} ${facts.size.toString()}`;
    if (seen !== this.#seen) {
      this.#token = readFileSync(this.origin, "utf8").trim();
      this.#seen = seen;
    }
    return this.#token;
  }
}
