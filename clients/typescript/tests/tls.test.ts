/** TLS and client certificates, with certificates made here by openssl. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { ServerCredentials } from "@grpc/grpc-js";
import { Registry, UnavailableError } from "@registry-grpc/client";
import type { RegistryOptions } from "@registry-grpc/client";
import { ServerService } from "@registry-grpc/client/v1/server";
import { FakeServer } from "./kit/fake.js";
import { Scratch } from "./kit/kit.js";

// Here a token is one that a test gives.
delete process.env["MREG_TOKEN"];

/** An authority, and certificates of it. */
class Authority {
  readonly #scratch: Scratch;
  readonly caFile: string;

  constructor(scratch: Scratch, name: string) {
    this.#scratch = scratch;
    this.caFile = scratch.join(`${name}.pem`);
    const made = ["-keyout", `${this.caFile}.key`, "-out", this.caFile];
    openssl("req", "-x509", ...NEW_KEY, ...made, "-days", "2", "-subj", `/CN=${name}`);
  }

  /** Certificate and key, as files. */
  issue(name: string): { readonly certificate: string; readonly key: string } {
    const [certificate, key, request] = ["pem", "key", "csr"].map((end) => this.#scratch.join(`${name}.${end}`));
    assert.ok(certificate && key && request);
    const extensions = this.#scratch.join(`${name}.ext`);
    writeFileSync(extensions, "subjectAltName=IP:127.0.0.1");
    openssl("req", ...NEW_KEY, "-keyout", key, "-out", request, "-subj", `/CN=${name}`);
    const signed = ["-CA", this.caFile, "-CAkey", `${this.caFile}.key`, "-CAcreateserial", "-extfile", extensions];
    openssl("x509", "-req", "-in", request, ...signed, "-out", certificate, "-days", "2");
    return { certificate, key };
  }

  /** A server that proves itself, and with `mutual` wants the same of its clients. */
  async server(mutual: boolean): Promise<FakeServer> {
    const { certificate, key } = this.issue(`server-${String(mutual)}`);
    const pair = { cert_chain: readFileSync(certificate), private_key: readFileSync(key) };
    const fake = new FakeServer().serve(ServerService, {
      getServerInfo: (_, { metadata }) => ({ caller: String(metadata.get("authorization")[0] ?? "nobody") }),
    });
    return fake.start(0, ServerCredentials.createSsl(readFileSync(this.caFile), [pair], mutual));
  }
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

function openssl(...command: readonly string[]): void {
  execFileSync("openssl", command, { stdio: "pipe" });
}

async function callerAt(options: RegistryOptions): Promise<string> {
  using registry = new Registry(options);
  return (await registry.serverInfo({ timeoutMs: 15_000 })).caller;
}

test("a server that proves itself gets the token", async () => {
  await using scratch = await Scratch.make();
  const authority = new Authority(scratch, "ca");
  await using fake = await authority.server(false);
  const { caFile } = authority;
  assert.equal(await callerAt({ endpoint: fake.endpoint, token: "t", caFile }), "Bearer t");
  assert.equal(await callerAt({ endpoint: `${fake.endpoint},${fake.endpoint}`, token: "t", caFile }), "Bearer t");
});

test("a server that cannot prove itself gets nothing", async () => {
  await using scratch = await Scratch.make();
  await using fake = await new Authority(scratch, "ca").server(false);
  const { caFile } = new Authority(scratch, "other");
  await assert.rejects(callerAt({ endpoint: fake.endpoint, token: "t", caFile }), UnavailableError);
  await assert.rejects(callerAt({ endpoint: fake.endpoint, token: "t" }), UnavailableError);
  assert.deepEqual(fake.calls, []);
});

test("a client certificate takes the place of a token, and is wanted where the server says so", async () => {
  await using scratch = await Scratch.make();
  const authority = new Authority(scratch, "ca");
  await using fake = await authority.server(true);
  const { certificate, key } = authority.issue("client");
  const options = { endpoint: fake.endpoint, caFile: authority.caFile };
  assert.equal(await callerAt({ ...options, clientCert: certificate, clientKey: key }), "nobody");
  await assert.rejects(callerAt({ ...options, token: "t" }), UnavailableError);
});
