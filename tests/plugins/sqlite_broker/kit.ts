import { type Host, Server } from "../../../core/mod.ts";
import type { Broker, BrokerEvents } from "../../../plugins/channels.ts";
import { persistence, type Store } from "../../../plugins/persistence.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";
import { type LogEnds, logEndsOf } from "../../../plugins/sqlite_broker/log_ends.ts";
import type { MoveSizes } from "../../../plugins/sqlite_broker/moves.ts";
import { FakeClock } from "../../kit/mod.ts";

/** A broker on a file, with what it notes. */
export interface OpenBroker {
  readonly broker: Broker;
  readonly store: Store;
  readonly ends: LogEnds;
  close(): Promise<void>;
}

/** Moves begin early and take many steps. */
export const SMALL: MoveSizes = { rows: 12, every: 3, moved: 2, deleted: 3 };

/** Opens a broker on a file. */
export async function openBroker(
  path: string,
  clock: FakeClock = new FakeClock(),
  sizes: MoveSizes = SMALL,
  forgetAfterMs = 2_592_000_000,
): Promise<OpenBroker> {
  const server = new Server({ port: false, clock });
  const store = server.use(persistence({ path }));
  const ends = logEndsOf(store, sizes);
  await server.start();
  const broker = sqliteBroker({ store, forgetAfterMs });
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const events: BrokerEvents = { publication: () => 1, presence() {}, interrupted() {} };
  await broker.start?.(events, { clock, log } as unknown as Host);
  return {
    broker,
    store,
    ends,
    async close() {
      await broker.stop?.();
      await server.stop();
    },
  };
}
