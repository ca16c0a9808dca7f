import { AsyncLocalStorage } from "node:async_hooks";
import type { PlainWriter } from "../shared/plain.ts";

/** One line of a trace. */
export interface TraceRecord {
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** Whether the call begins, returns or throws. */
  readonly event: "ENTER" | "EXIT" | "EXCEPTION";
  /** The same for a call and all calls nested in it. */
  readonly thread: string;
  /** The service's name. */
  readonly class: string;
  /** The method's name. */
  readonly function: string;
  /** With `ENTER`: the arguments by name, as JSON text. */
  readonly args?: string;
  /** With `EXIT`: the result as JSON text, or `void`. */
  readonly result?: string;
  /** With `EXCEPTION`: the error's name and message. */
  readonly exception?: string;
  /** Duration until the call returned or its promise settled; not with `ENTER`. */
  readonly durationMicros?: number;
  /** The duration in whole milliseconds. */
  readonly durationMillis?: number;
}

/** A call of a traced service. */
export interface Call {
  readonly service: string;
  readonly method: string;
  /** The arguments by name. */
  readonly args: Readonly<Record<string, unknown>>;
}

/** Wraps a call: calls `work` once and returns or throws what it does. */
export type Around = <T>(call: Call, work: () => T) => T;

/** Nests wrappers, the first outermost. */
export function nested(arounds: readonly Around[]): Around {
  return <T>(call: Call, work: () => T) =>
    arounds.reduceRight<() => T>((inner, around) => () => around(call, inner), work)();
}

/** Returns the service with each method call wrapped by `around`. Calls through `this` are not wrapped. */
export function traceCalls<Service extends object>(name: string, service: Service, around: Around): Service {
  const wrapped = new Map<unknown, unknown>();
  return new Proxy(service, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== "function" || typeof key === "symbol" || key === "constructor") return member;
      return wrapped.getOrInsertComputed(member, () => {
        const parameters = parametersOf(member);
        return (...args: unknown[]) =>
          around(
            { service: name, method: key, args: byName(parameters, args) },
            () => Reflect.apply(member, target, args),
          );
      });
    },
  });
}

/** Records the begin of each call, and its end or failure. */
export function recordCalls(
  { writer, now, write }: { writer: PlainWriter; now: () => number; write: (record: TraceRecord) => void },
): Around {
  const threads = new AsyncLocalStorage<string>();
  let count = 0;

  return (call, work) => {
    const thread = threads.getStore() ?? String(++count);
    const about = { thread, class: call.service, function: call.method };
    write({ timestamp: now(), event: "ENTER", ...about, args: writer.json(call.args) });
    const startedAt = performance.now();

    const ended = (event: "EXIT" | "EXCEPTION", outcome: Pick<TraceRecord, "result" | "exception">) => {
      const durationMicros = Math.round((performance.now() - startedAt) * 1000);
      const durationMillis = Math.floor(durationMicros / 1000);
      write({ timestamp: now(), event, ...about, ...outcome, durationMicros, durationMillis });
    };
    const done = (value: unknown) =>
      ended("EXIT", { result: value === undefined ? "void" : writer.json(value) });
    const failed = (error: unknown) => {
      const text = error instanceof Error
        ? writer.text(`${error.name}: ${error.message}`)
        : writer.json(error);
      ended("EXCEPTION", { exception: text });
    };

    try {
      const result = threads.run(thread, work);
      if (result instanceof Promise) result.then(done, failed);
      else done(result);
      return result;
    } catch (error) {
      failed(error);
      throw error;
    }
  };
}

/** Returns the names of the parameters from the source, with the dots of a rest parameter. Patterns have an empty name. */
function parametersOf(method: object): readonly string[] {
  const source = Function.prototype.toString.call(method);
  const list = source.match(/^[^(=]*\(([^)]*)\)/)?.[1] ?? source.match(/^(?:async\s+)?([\w$]+)\s*=>/)?.[1] ??
    "";
  if (/[{[]/.test(list)) return [];
  return list.split(",").map((each) => each.match(/^\s*((?:\.\.\.)?[\w$]+)/)?.[1] ?? "");
}

/** Returns the arguments by name. A single object argument is returned as it is. */
function byName(parameters: readonly string[], args: readonly unknown[]): Record<string, unknown> {
  const [only] = args;
  if (args.length === 1 && isPlain(only)) return only;
  const named: Record<string, unknown> = {};
  for (let i = 0; i < args.length; i++) {
    const name = parameters[i] || `arg${i}`;
    if (name.startsWith("...")) return { ...named, [name.slice(3)]: args.slice(i) };
    named[name] = args[i];
  }
  return named;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
