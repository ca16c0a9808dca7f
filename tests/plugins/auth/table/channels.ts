import assert from "node:assert/strict";
import type { Needs } from "./callers.ts";
import { answered, connect, type Operation, query } from "./operations.ts";

const READ: Needs = ["read", "news"];
const WRITE: Needs = ["write", "news"];
// A private channel needs a token, or a permission that names it.
const READ_PRIVATE: Needs = ["read", "$team"];
const WRITE_PRIVATE: Needs = ["write", "$team"];

/** An operation of the json protocol. `other` is a code that only somebody who may do it gets. */
function json(type: string, needs: Needs, message: object, other?: string, name: string = type): Operation {
  return {
    place: "SOCKET /ws",
    name,
    needs,
    async run(server, credentials) {
      await using client = await connect(server, `/ws${query(credentials)}`);
      if (client === undefined || (await client.nextJson()).type === "error") return false;
      const answer = await answered(client, { id: "1", type, ...message }, ({ id }) => id === "1");
      if (answer === undefined) return false;
      const code = answer.type === "error" ? answer.data.code : undefined;
      assert.ok([undefined, other, "PERMISSION_DENIED"].includes(code), `${type} was answered with ${code}`);
      return code !== "PERMISSION_DENIED";
    },
  };
}

/** The messages of the json protocol. */
export const JSON_OPERATIONS: readonly Operation[] = [
  json("subscribe", READ, { channel: "news" }),
  json("subscribe", READ_PRIVATE, { channel: "$team" }, undefined, "subscribe to a private channel"),
  json("unsubscribe", "sign_in", { channel: "news" }, "NOT_SUBSCRIBED"),
  json("publish", WRITE, { channel: "news", data: 1 }),
  json("publish", WRITE_PRIVATE, { channel: "$team", data: 1 }, undefined, "publish to a private channel"),
  json("presence", READ, { channel: "news" }),
  json("history", READ, { channel: "news" }),
  json("history", READ_PRIVATE, { channel: "$team" }, undefined, "read a private channel"),
  json("query:subscribe", ["read", "live:items"], { data: { query: "items" } }),
  json("query:unsubscribe", "sign_in", { data: { query: "items" } }, "NOT_SUBSCRIBED"),
  json("rpc", "sign_in", { data: { method: "who" } }),
  json("user:cursor", "sign_in", { channel: "news", data: {} }, "NOT_SUBSCRIBED"),
  json("ping", "sign_in", {}),
];

/** An operation of the Centrifuge protocol. */
function centrifuge(method: string, needs: Needs, params: object, other?: number, name = method): Operation {
  return {
    place: "SOCKET /connection/websocket",
    name,
    needs,
    async run(server, credentials) {
      const { token, ...rest } = credentials;
      await using client = await connect(server, `/connection/websocket${query(rest)}`);
      if (client === undefined) return false;
      const connected = await answered(
        client,
        { id: 1, connect: token === undefined ? {} : { token } },
        ({ id }) => id === 1,
      );
      if (connected?.connect === undefined) return false;
      if (method === "connect") return true;
      const answer = await answered(client, { id: 2, [method]: params }, ({ id }) => id === 2);
      const code = answer?.error?.code;
      assert.ok([undefined, other, 103].includes(code), `${method} was answered with ${code}`);
      return code !== 103;
    },
  };
}

/** The commands of the Centrifuge protocol. */
export const CENTRIFUGE_OPERATIONS: readonly Operation[] = [
  centrifuge("connect", "sign_in", {}),
  centrifuge("subscribe", READ, { channel: "news" }),
  centrifuge("subscribe", READ_PRIVATE, { channel: "$team" }, undefined, "subscribe to a private channel"),
  centrifuge("unsubscribe", "sign_in", { channel: "news" }),
  centrifuge("publish", WRITE, { channel: "news", data: 1 }),
  centrifuge("presence", READ, { channel: "news" }),
  centrifuge("presence", READ_PRIVATE, { channel: "$team" }, undefined, "presence in a private channel"),
  centrifuge("presence_stats", READ, { channel: "news" }),
  centrifuge("history", READ, { channel: "news", limit: 1 }),
  centrifuge("history", READ_PRIVATE, { channel: "$team", limit: 1 }, undefined, "read a private channel"),
  centrifuge("rpc", "sign_in", { method: "who" }),
];
