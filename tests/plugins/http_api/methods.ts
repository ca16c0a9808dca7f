/** What the tests know of the methods, apart from their code: a valid request and the permission of each. */

/** A method with a valid request. */
export interface Known {
  readonly params: object;
  /** The permission for this request; absent where each part needs its own. */
  readonly permission?: string;
  /** Whether it is one of Centrifugo's. */
  readonly compatible: boolean;
}

const compatible = (permission: string | undefined, params: object): Known => ({
  params,
  compatible: true,
  ...(permission !== undefined && { permission }),
});
const own = (permission: string, params: object = {}): Known => ({ params, permission, compatible: false });

const news = { channel: "news" };

/** All methods by name. */
export const KNOWN: Readonly<Record<string, Known>> = {
  "publish": compatible("write:news", { ...news, data: 1 }),
  "broadcast": compatible(undefined, { channels: ["news"], data: 1 }),
  "subscribe": compatible("admin:connections", { ...news, user: "nobody" }),
  "unsubscribe": compatible("admin:connections", { ...news, user: "nobody" }),
  "disconnect": compatible("admin:connections", { user: "nobody" }),
  "refresh": compatible("admin:connections", { user: "nobody" }),
  "presence": compatible("read:news", news),
  "presence_stats": compatible("read:news", news),
  "history": compatible("read:news", news),
  "history_remove": compatible("admin:channels", news),
  "channels": compatible("admin:channels", {}),
  "info": compatible("admin:metrics", {}),
  "rpc": compatible("write:rpc:who", { method: "who" }),
  "batch": compatible(undefined, { commands: [] }),
  "schedule": own("write:news", { ...news, data: 1, delay: 3_600_000, id: "later" }),
  "schedule/list": own("admin:schedule"),
  "schedule/cancel": own("write:news", { ...news, id: "nothing" }),
  "connections": own("admin:connections"),
  "connection": own("admin:connections", { client: "nobody" }),
  "revoke": own("admin:sign_in", { jti: "none" }),
  "api_keys": own("admin:api_keys"),
  "api_keys/add": own("admin:api_keys", { name: "robot", permissions: ["read:news"] }),
  "api_keys/end": own("admin:api_keys", { name: "nobody" }),
  "webhooks": own("admin:webhooks"),
  "dead_letters": own("admin:webhooks", { name: "shop" }),
  "dead_letters/retry": own("admin:webhooks", { name: "shop" }),
  "dead_letters/empty": own("admin:webhooks", { name: "shop" }),
  "query": own("read:live:items", { name: "items" }),
  "tables": own("admin:database"),
  "table/insert": own("admin:rows", { name: "items", values: {} }),
  "table/update": own("admin:rows", { name: "items", key: [2], values: { n: 1 } }),
  "table/delete": own("admin:rows", { name: "items", key: [1] }),
  "backup": own("admin:database", { name: "copy.db" }),
  "reload": own("admin:configuration", {}),
  "stats": own("admin:metrics"),
  "figures": own("admin:metrics"),
  "health": own("admin:metrics"),
  "search": own("admin:connections", { text: "news" }),
  "channel": own("admin:channels", news),
  "channel/close": own("admin:channels", news),
  "verdict": own("admin:connections", { ...news, user: "nobody" }),
  "journal": own("admin:connections", { user: "nobody" }),
  "methods": own("admin:rpc"),
  "table": own("admin:database", { name: "items" }),
  "database": own("admin:database"),
  "queries": own("admin:database"),
  "queries/instances": own("admin:database", { name: "items" }),
  "queries/explain": own("admin:database", { name: "items" }),
  "settings": own("admin:settings"),
  "recorder": own("admin:trace"),
  "recorder/start": own("admin:trace"),
  "recorder/stop": own("admin:trace"),
  "log": own("admin:log"),
};
