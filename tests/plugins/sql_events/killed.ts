/** A server with a query that never ends, to be killed; prints the ids of its queries' processes. */

import { until } from "../../kit/mod.ts";
import { children, ticks } from "../persistence/isolated/children.ts";
import { NUMBERS, ONE_ROW_NEVER, serveSql } from "./kit.ts";

const server = await serveSql({ runIn: "process" });
await server.store.exec(NUMBERS);
server.events.start(ONE_ROW_NEVER);
await server.events.run("SELECT 1"); // its process waits from now on
await until("the processes", () => children().length === 2);
await until("one of them to work", () => children().some((pid) => ticks(pid) > 30));
// deno-lint-ignore no-console -- how it tells
console.log(children().join(" "));
