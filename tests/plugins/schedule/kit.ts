import { type LogRecord, Server } from "../../../core/mod.ts";
import { type Channels, channels, type ChannelsOptions } from "../../../plugins/channels.ts";
import { persistence, type Store } from "../../../plugins/persistence.ts";
import { type Schedule, schedule, type ScheduleOptions } from "../../../plugins/schedule.ts";
import { sqliteBroker } from "../../../plugins/sqlite_broker.ts";
import { FakeClock, until } from "../../kit/mod.ts";

/** A server with a schedule, its clock, and what was published. */
export interface Scheduling extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly bus: Channels;
  readonly store: Store;
  readonly later: Schedule;
  readonly log: LogRecord[];
  /** What was published in the channels `a` to `c`, in order. */
  readonly published: unknown[];
  /** Lets time pass, and waits until everything due is published. */
  pass(ms: number): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server that does not listen. */
export async function scheduling(
  options: Partial<ScheduleOptions> & {
    readonly path?: string;
    readonly clock?: FakeClock;
    readonly channelOptions?: ChannelsOptions;
  } = {},
): Promise<Scheduling> {
  const { path = ":memory:", clock = new FakeClock(), channelOptions, ...rest } = options;
  const log: LogRecord[] = [];
  const server = new Server({ port: false, clock });
  const store = server.use(persistence({ path }));
  const namespaces = { durable: { broker: sqliteBroker({ store }) } };
  const bus = server.use(channels({ namespaces, ...channelOptions }));
  const later = server.use(schedule({ channels: bus, store, ...rest }));
  server.use({ name: "test_log", log: (record) => void log.push(record) });
  const published: unknown[] = [];
  for (const channel of ["a", "b", "c"]) bus.subscribe(channel, (data) => void published.push(data));
  await server.start();

  async function idle(): Promise<void> {
    const due = `SELECT 1 FROM plugboard_schedule
      WHERE due <= ? - iif(steady, (SELECT skew FROM plugboard_schedule_clock), 0)`;
    let looks = 0;
    await until("everything due to be published", () => {
      if (store.get(due, [clock.wallTime() - 100]) === undefined) return true;
      if (++looks % 20 === 0) clock.advance(100);
      return false;
    });
    // Callbacks are called in a later turn.
    for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => setTimeout(resolve));
  }

  return {
    clock,
    bus,
    store,
    later,
    log,
    published,
    async pass(ms) {
      // Days in one step, rather than all the ticks of all timers.
      if (ms > 60_000) clock.block(ms - 1_000);
      clock.advance(ms > 60_000 ? 1_000 : ms);
      await idle();
    },
    stop: () => server.stop(),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}
