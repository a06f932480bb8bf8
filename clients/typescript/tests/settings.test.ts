/** Where the registry is, and with which token and certificate it is asked. */

import assert from "node:assert/strict";
import { chmod, mkdir, rename, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { InvalidArgumentError, Registry, UnauthenticatedError } from "@registry-grpc/client";
import { isLoopback, loadSettings, targetOf } from "#internal/settings";
import { Scratch } from "./kit/kit.js";

test("only this machine is loopback", () => {
  const local = ["127.0.0.1:7470", "127.8.8.8:1", "localhost:7470", "[::1]:7470", "unix:/run/x", "dns:///localhost:1"];
  for (const endpoint of local) {
    assert.equal(isLoopback(endpoint), true, endpoint);
  }
  const others = [
    "10.0.0.1:1",
    "localhost.example.com:1",
    "127.0.0.1.example.com:1",
    "[::2]:1",
    "dns:///registry:1",
    "0.0.0.0:1",
  ];
  for (const endpoint of others) {
    assert.equal(isLoopback(endpoint), false, endpoint);
  }
});

test("several addresses become one target", () => {
  assert.equal(targetOf("10.0.0.1:1,10.0.0.2:1"), "ipv4:10.0.0.1:1,10.0.0.2:1");
  assert.equal(targetOf("[::1]:1,[::2]:2"), "ipv6:[::1]:1,[::2]:2");
  assert.equal(targetOf("dns:///registry:7470"), "dns:///registry:7470");
  for (const endpoint of ["a:1,b:1", "10.0.0.1:1,[::1]:1", "10.0.0.1,10.0.0.2"]) {
    assert.throws(() => targetOf(endpoint), /dns:\/\/\/name:port/, endpoint);
  }
});

test("options win over the environment over defaults", () => {
  const environment = { MREG_ENDPOINT: "registry:1", MREG_TOKEN: "theirs", MREG_PROJECT: "team" };
  const given = loadSettings({ endpoint: "other:2", token: "mine", project: "own" }, environment);
  assert.deepEqual([given.endpoint, given.tokens.token(), given.project, given.tls], ["other:2", "mine", "own", true]);
  const found = loadSettings({}, environment);
  assert.deepEqual([found.endpoint, found.tokens.token(), found.project], ["registry:1", "theirs", "team"]);
  const bare = loadSettings({}, { MREG_DATA_DIR: "/nowhere", MREG_ENDPOINT: "", MREG_TOKEN: "" });
  assert.deepEqual(
    [bare.endpoint, bare.tokens.token(), bare.project, bare.tls],
    ["127.0.0.1:7470", "", "default", false],
  );
});

test("plaintext is for this machine, or when it is asked for", () => {
  assert.equal(loadSettings({ endpoint: "registry:1" }, {}).tls, true);
  assert.equal(loadSettings({ endpoint: "registry:1", insecure: true }, {}).tls, false);
  assert.equal(loadSettings({ endpoint: "127.0.0.1:1" }, {}).tls, false);
  assert.equal(loadSettings({ endpoint: "127.0.0.1:1" }, { MREG_CA_FILE: "/ca.pem" }).tls, true);
  assert.equal(loadSettings({ endpoint: "127.0.0.1:1,127.0.0.2:1" }, {}).tls, false);
  assert.equal(loadSettings({ endpoint: "127.0.0.1:1,10.0.0.2:1" }, {}).tls, true);
});

test("contradictions are refused", () => {
  for (const options of [
    { insecure: true, caFile: "ca.pem" },
    { clientCert: "only.pem" },
    { clientKey: "only.pem" },
    { project: "No Id" },
    { timeoutMs: 0 },
    { endpoint: "a:1,b:2" },
  ]) {
    assert.throws(() => loadSettings(options, {}), InvalidArgumentError, JSON.stringify(options));
  }
});

test("a rotated token file is read again", async () => {
  await using scratch = await Scratch.make();
  const tokenFile = scratch.join("token");
  await writeFile(tokenFile, "first\n");
  const { tokens } = loadSettings({ endpoint: "registry:1", tokenFile }, {});
  assert.equal(tokens.token(), "first");
  await writeFile(scratch.join("next"), "second\n");
  await rename(scratch.join("next"), tokenFile);
  assert.equal(tokens.token(), "second");
  assert.throws(
    () => loadSettings({ endpoint: "r:1", tokenFile: "/nowhere/t" }, {}).tokens.token(),
    UnauthenticatedError,
  );
});

test("the admin token is found for this machine only, and only when nobody else can read it", async () => {
  await using scratch = await Scratch.make();
  await mkdir(scratch.join("data"));
  const environment = { MREG_DATA_DIR: scratch.join("data") };
  const { tokens } = loadSettings({}, environment);
  assert.equal(tokens.token(), "");
  await writeFile(scratch.join("data", "admin.token"), "found", { mode: 0o600 });
  assert.equal(tokens.token(), "found");
  assert.equal(loadSettings({ endpoint: "registry:1" }, environment).tokens.token(), "");
  await chmod(scratch.join("data", "admin.token"), 0o640);
  assert.throws(() => tokens.token(), UnauthenticatedError);
});

test("a certificate that cannot be read is named before anything is sent", async () => {
  const registry = new Registry({ endpoint: "registry:1", token: "t", caFile: "/nowhere/ca.pem" });
  await assert.rejects(registry.serverInfo(), (error: unknown) => {
    assert.ok(error instanceof InvalidArgumentError);
    assert.match(error.message, /nowhere.*ENOENT/);
    return true;
  });
});

test("a reference to another registry is refused without connecting", async () => {
  const registry = new Registry({ endpoint: "registry:1", token: "t" });
  await assert.rejects(registry.resolve("mreg://elsewhere:7470/default/fraud"), InvalidArgumentError);
  assert.equal(registry.reference("mreg://registry:1/default/fraud").model, "fraud");
});

test("no secret is shown", async () => {
  await using scratch = await Scratch.make();
  await writeFile(scratch.join("token"), "s3cret");
  const { inspect } = await import("node:util");
  for (const options of [{ token: "s3cret" }, { tokenFile: scratch.join("token") }]) {
    const registry = new Registry({ endpoint: "registry:1", ...options });
    registry.connection.settings.tokens.token();
    assert.doesNotMatch(inspect(registry, { depth: 9, showHidden: true }), /s3cret/);
  }
});
