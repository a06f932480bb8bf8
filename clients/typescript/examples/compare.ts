/**
 * Lists the models of a project, and lays two versions side by side.
 *
 *     node compare.js models [PROJECT]
 *     node compare.js compare fraud@production fraud@latest
 *
 * The registry is that of MREG_ENDPOINT and MREG_TOKEN or MREG_TOKEN_FILE.
 */

import { Registry, RegistryError } from "@registry-grpc/client";
import { CatalogueService } from "@registry-grpc/client/v1/catalogue";
import type { CompareVersionsResponse } from "@registry-grpc/client/v1/catalogue";
import { ModelService } from "@registry-grpc/client/v1/models";

const USAGE = "usage: compare.js models [PROJECT] | compare REFERENCE REFERENCE";

async function listModels(registry: Registry, project: string | undefined): Promise<void> {
  const parent = registry.projectName(project);
  for await (const model of registry.all(ModelService.method.listModels, { parent })) {
    const versions = registry.all(ModelService.method.listVersions, { parent: model.name, pageSize: 1 });
    const newest = (await versions.next()).value;
    await versions.return();
    const what = newest ? `version ${newest.number.toString()}, ${newest.stage || "in no stage"}` : "no version yet";
    print([model.name.split("/").at(-1) ?? "", what, model.owner]);
  }
}

async function compareVersions(registry: Registry, references: readonly string[]): Promise<void> {
  // What a stage stands for may move in between: the numbers are printed with what is compared.
  const answers = await Promise.all(references.map((reference) => registry.resolve(reference)));
  const names = answers.map(({ version }) => version);
  const projects = new Set(names.map((name) => name.replace(/\/models\/.*/, "")));
  const [parent = ""] = projects.size === 1 ? projects : ["projects/-"];
  const rows = await registry.service(CatalogueService).compareVersions({ parent, names, differencesOnly: true });
  print(["", ...names]);
  printRows(rows);
}

function printRows({ fields, metrics, parameters, dependencies }: CompareVersionsResponse): void {
  for (const { field, values } of [...fields, ...parameters, ...dependencies]) {
    print([field, ...values]);
  }
  for (const { name, cells, best } of metrics) {
    const shown = cells.map(({ value }, at) => `${value?.toString() ?? ""}${at === best ? " *" : ""}`);
    print([name, ...shown]);
  }
}

function print(cells: readonly string[]): void {
  process.stdout.write(`${cells.join("\t").trimEnd()}\n`);
}

async function main([command, ...rest]: readonly string[]): Promise<number> {
  using registry = new Registry();
  if (command === "models" && rest.length <= 1) {
    await listModels(registry, rest[0]);
  } else if (command === "compare" && rest.length === 2) {
    await compareVersions(registry, rest);
  } else {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof RegistryError)) {
    throw error;
  }
  process.stderr.write(`${error.code} ${error.reason}: ${error.message}\n`);
  process.exitCode = 1;
}
