import { Registry } from "@registry-grpc/client";
using registry = new Registry(); // MREG_ENDPOINT, MREG_TOKEN or MREG_TOKEN_FILE, MREG_CA_FILE, MREG_PROJECT
console.log((await registry.resolve("fraud@production")).version);
await registry.pull("fraud@production", "./model");
for await (const change of registry.watch("fraud@production")) {
  console.log(change.kind, change.event?.name, change.resumeToken);
}
