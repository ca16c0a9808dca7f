/** Opens a database with the permission to a linked folder only. Argument: its path. */

import { opened } from "./kit.ts";

await using db = await opened({ path: Deno.args[0]!, durability: "full" });
await db.store.exec("CREATE TABLE items (name)");
