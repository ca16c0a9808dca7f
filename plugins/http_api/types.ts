import type { MaybePromise } from "../../core/mod.ts";
import type { Identity, Verb } from "../shared/identity.ts";
import type { Schema, ValueOf } from "./schema.ts";

/** A request to a method. */
export interface Call {
  /** The backend. */
  readonly identity: Identity;
  /** The parameters as they were sent, as JSON text. */
  readonly text: string;
}

/** A method of the API. */
export interface Method<Params = Readonly<Record<string, unknown>>> {
  /** The name, which is the end of its path. */
  readonly name: string;
  /** What it does, for the documentation. */
  readonly summary: string;
  /** Whether it is one of Centrifugo's; errors of the others have HTTP statuses and reasons. */
  readonly compatible: boolean;
  /** The parameters. */
  readonly params: Schema;
  /** The result. */
  readonly result: Schema;
  /**
   * The permission that it needs, in which `{name}` stands for a parameter: `write:{channel}`. Absent where each part of
   * the request needs its own.
   */
  readonly permission?: string;
  /** Returns the result as JSON text. */
  run(params: Params, call: Call): MaybePromise<string>;
}

/** All methods by name. */
export type Methods = ReadonlyMap<string, Method>;

/** Makes a method whose parameters have the type of their schema. */
export function method<const S extends Schema>(
  method: Omit<Method<ValueOf<S>>, "params"> & { readonly params: S },
): Method {
  return method as unknown as Method;
}

/** Makes one of Centrifugo's methods. */
export function compatible<const S extends Schema>(
  about: Omit<Method<ValueOf<S>>, "params" | "compatible"> & { readonly params: S },
): Method {
  return method({ ...about, compatible: true });
}

/** Makes a method that Centrifugo does not have. */
export function own<const S extends Schema>(
  about: Omit<Method<ValueOf<S>>, "params" | "compatible"> & { readonly params: S },
): Method {
  return method({ ...about, compatible: false });
}

/** A parsed permission: the verb, and the parts of the resource, of which every second one is the name of a parameter. */
const parsed = new Map<string, readonly [Verb, readonly string[]]>();

/** Returns the permission that a request needs. */
export function needOf(
  permission: string,
  params: Readonly<Record<string, unknown>>,
): readonly [Verb, string] {
  const [verb, parts] = parsed.getOrInsertComputed(permission, parse);
  return [
    verb,
    parts.length === 1 ? parts[0]! : parts.map((part, i) => i % 2 === 0 ? part : params[part]).join(""),
  ];
}

function parse(permission: string): readonly [Verb, readonly string[]] {
  const colon = permission.indexOf(":");
  return [permission.slice(0, colon) as Verb, permission.slice(colon + 1).split(/[{}]/)];
}
