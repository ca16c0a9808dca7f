/** A server with an endless query, for a test that kills it; prints the ids of its queries' processes. */

import { until } from "../../kit/mod.ts";
import { children, ticks } from "../persistence/isolated/children.ts";
import { ENDLESS_AGGREGATE, NUMBERS, serveSql } from "./kit.ts";

const server = await serveSql({ runIn: "process" });
await server.store.exec(NUMBERS);
server.events.start(ENDLESS_AGGREGATE);
await server.events.run("SELECT 1"); // its process is idle from now on
await until("the processes", () => children().length === 2);
await until("one of them to work", () => children().some((pid) => ticks(pid) > 30));
// deno-lint-ignore no-console -- the output for the test
console.log(children().join(" "));
