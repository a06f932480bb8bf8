/** Parameters of a version from plain values. */

import { create } from "@bufbuild/protobuf";
import { InvalidArgumentError } from "./errors.js";
import { ParameterValueSchema } from "./gen/registry_grpc/v1/metadata_pb.js";
import type { ParameterValue } from "./gen/registry_grpc/v1/metadata_pb.js";

/** A value: bigint for a whole number, number for a double. */
export type PlainParameter = bigint | number | boolean | string;

/**
 * Parameters as the contract has them: `parameters({ depth: 6n, rate: 0.1, shuffled: true, solver: "lbfgs" })`.
 *
 * @throws {@link InvalidArgumentError} for a bigint above 64 bits.
 */
export function parameters(values: Readonly<Record<string, PlainParameter>>): Record<string, ParameterValue> {
  const made = Object.entries(values).map(([name, value]) => [
    name,
    create(ParameterValueSchema, { kind: kindOf(name, value) }),
  ]);
  return Object.fromEntries(made) as Record<string, ParameterValue>;
}

function kindOf(name: string, value: PlainParameter): ParameterValue["kind"] {
  switch (typeof value) {
    case "bigint":
      if (BigInt.asIntN(64, value) !== value) {
        throw new InvalidArgumentError(`parameter ${name} is ${value.toString()}, which does not fit into 64 bits`);
      }
      return { case: "int64Value", value };
    case "number":
      return { case: "doubleValue", value };
    case "boolean":
      return { case: "boolValue", value };
    default:
      return { case: "stringValue", value };
  }
}
