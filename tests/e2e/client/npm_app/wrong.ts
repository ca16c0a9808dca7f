// Each line is wrong: without the types of the server, the compiler finds no error, and complains that it was expected.
import { call, live, type Serves } from "@plugboard/server/client";
import type { Centrifuge } from "centrifuge";
import type { Api } from "./api.ts";

declare const client: Centrifuge & Serves<Api>;
// @ts-expect-error -- no such query
live(client, "customers");
// @ts-expect-error -- a parameter is missing
live(client, "orders");
// @ts-expect-error -- a parameter of another type
live(client, "orders", { status: 5 });
// @ts-expect-error -- no such column
live(client, "orders", { status: "pending" }).getSnapshot().rows[0]?.total;
// @ts-expect-error -- no such method
call(client, "subtract", { a: 1, b: 2 });
// @ts-expect-error -- an argument of another type
call(client, "add", { a: 1, b: "2" });
// @ts-expect-error -- the reply is a number
call(client, "add", { a: 1, b: 2 }).then((sum) => sum.toUpperCase());
