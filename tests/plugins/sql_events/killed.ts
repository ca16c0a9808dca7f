/** A server with a query that never ends, to be killed; prints the id of the query's process. */

import { until } from "../../kit/mod.ts";
import { children } from "./children.ts";
import { NUMBERS, ONE_ROW_NEVER, serveSql } from "./kit.ts";

const server = await serveSql({ runIn: "process" });
await server.store.exec(NUMBERS);
server.events.start(ONE_ROW_NEVER);
await until("the process", () => children().length === 1);
await new Promise((resolve) => setTimeout(resolve, 300)); // it works by now
// deno-lint-ignore no-console -- how it tells
console.log(children()[0]);
