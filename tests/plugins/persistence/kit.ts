import { type Clock, type LogRecord, Server, systemClock } from "../../../core/mod.ts";
import { persistence, type PersistenceOptions, type Store } from "../../../plugins/persistence.ts";

/** A store that is closed at the end of the block, as a server closes it. */
export interface OpenedStore extends AsyncDisposable {
  readonly store: Store;
  readonly log: LogRecord[];
  close(): Promise<void>;
}

/** Opens a store in a server that does not listen. */
export async function opened(
  options: PersistenceOptions = {},
  clock: Clock = systemClock,
): Promise<OpenedStore> {
  const log: LogRecord[] = [];
  const server = new Server({ port: false, clock });
  const store = server.use(persistence({ path: ":memory:", ...options }));
  server.use({ name: "test_log", log: (record) => void log.push(record) });
  await server.start();
  const close = () => server.stop();
  return { store, log, close, [Symbol.asyncDispose]: close };
}

/** A folder that is removed at the end of the block. */
export function folder(): Disposable & { readonly path: string; file(name: string): string } {
  const path = Deno.makeTempDirSync();
  return {
    path,
    file: (name) => `${path}/${name}`,
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}

/** A value of a single row and column. */
export function value(store: Pick<Store, "get">, sql: string): unknown {
  return Object.values(store.get(sql) ?? {})[0];
}
