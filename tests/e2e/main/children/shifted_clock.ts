// deno-lint-ignore-file no-console -- the test reads the output
/** `main.ts` on a machine whose clock is set back an hour at the first SIGUSR2, and forward three hours at the second. */

const HOUR = 3_600_000;
const shifts = [-HOUR, 3 * HOUR];
const now = Date.now;
let ahead = 0;

class ShiftedDate extends Date {
  constructor(...args: [] | [number | string]) {
    super(...(args.length === 0 ? [now() + ahead] : args) as [number]);
  }
  static override now(): number {
    return now() + ahead;
  }
}
globalThis.Date = ShiftedDate as DateConstructor;

Deno.addSignalListener("SIGUSR2", () => {
  ahead += shifts.shift() ?? 0;
  console.error(
    JSON.stringify({ level: "INFO", logger: "test", message: "shifted", fields: { now: Date.now() } }),
  );
});

const [{ plugboard }, { command }] = await Promise.all([
  import("../../../../main.ts"),
  import("../../../../plugins/servers/configured.ts"),
]);
await command(plugboard);
