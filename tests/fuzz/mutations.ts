/**
 * What is sent: messages that protocols expect, and what becomes of them when something in them is changed.
 *
 * @module
 */

import { files } from "../../plugins/dashboard/files.ts";
import { encodeLines, PROTOBUF } from "../kit/protobuf_client.ts";
import type { Random } from "./random.ts";

/** A socket's path, and messages it understands. `TEXT` becomes a random text, `VALUE` a random value. */
export interface SocketTarget {
  readonly path: string;
  /** The subprotocol. */
  readonly protocol?: string;
  readonly messages: readonly string[];
  /** Turns a message into a frame of the protocol. */
  encode?(message: string): Uint8Array<ArrayBuffer>;
}

/** What a client that only receives sends to connect. */
const ONE_WAY = ["{}", '{"token":TEXT,"subs":{TEXT:{"recover":true,"offset":VALUE,"epoch":TEXT}}}', "VALUE"];

const CENTRIFUGE = [
  '{"id":1,"connect":{}}',
  '{"id":2,"subscribe":{"channel":TEXT,"recover":true,"offset":VALUE,"epoch":TEXT}}',
  '{"id":11,"subscribe":{"channel":"chat:a","recover":true,"delta":"fossil","flag":VALUE}}',
  '{"id":12,"subscribe":{"channel":"chat:a","tf":{"op":"or","nodes":[{"key":TEXT,"cmp":"lt","val":TEXT},VALUE]},"flag":1}}',
  '{"id":3,"publish":{"channel":"chat:a","data":VALUE}}',
  '{"id":4,"history":{"channel":TEXT,"limit":VALUE,"since":{"offset":1,"epoch":TEXT},"reverse":true}}',
  '{"id":5,"presence":{"channel":"chat:a"}}\n{"id":6,"presence_stats":{"channel":TEXT}}',
  '{"id":7,"rpc":{"method":TEXT,"data":VALUE}}',
  '{"id":8,"unsubscribe":{"channel":"chat:a"}}',
  '{"id":9,"refresh":{"token":TEXT}}',
  '{"id":10,"sub_refresh":{"channel":TEXT,"token":TEXT}}',
  '{"send":{"data":VALUE}}',
  "{}",
];

const JSON_PROTOCOL = [
  '{"type":"subscribe","channel":TEXT,"data":{"since":{"offset":VALUE,"epoch":TEXT},"joinLeave":true}}',
  '{"type":"unsubscribe","channel":"chat:a"}',
  '{"id":"1","type":"publish","channel":"chat:a","data":VALUE}',
  '{"type":"presence","channel":"chat:a"}',
  '{"type":"history","channel":"chat:a","data":{"limit":VALUE,"reverse":true}}',
  '{"type":"query:subscribe","data":{"query":TEXT,"params":VALUE}}',
  '{"type":"query:subscribe","data":{"sql":TEXT,"params":VALUE,"since":VALUE}}',
  '{"type":"query:unsubscribe","data":{"query":"home.ideas"}}',
  '{"type":"rpc","data":{"method":"home.vote","params":VALUE}}',
  '{"type":"user:cursor","channel":"collaboration","data":{"x":VALUE}}',
  '{"type":"refresh","data":{"token":TEXT}}',
  '{"type":"ping","id":VALUE}',
];

/** TinyBase's messages: to whom, then the request, the kind and the contents as JSON. */
const TINYBASE = [
  '\n[null,1,""]',
  'S\n["r1",1,""]',
  'S\n["r2",2,[VALUE,VALUE]]',
  'S\n["r3",3,[[{},"",0],[{},"",0],VALUE]]',
  'S\n["r4",4,VALUE]',
  'S\n["r5",5,VALUE]',
  'S\n["r6",6,[VALUE,VALUE]]',
  'TEXT\n["r7",0,VALUE]',
];

/** TinyBase's messages on a socket with several channels. */
const MULTIPLEXED = [
  'S\n["m1",-1,[0,1]]',
  'S\n["m2",-1,[1,"fuzz"]]',
  'S\n["m3",-1,[1,TEXT]]',
  'S\n[null,-1,[2,"fuzz"]]',
  ...TINYBASE.map((message) => `M\nfuzz\n${message}`),
];

const PIPE = ["|r1|chat|VALUE", "S|r2|TEXT|VALUE", "TEXT|r3|chat|hello", "|||"];

/** Every endpoint for WebSockets. */
export const SOCKETS: readonly SocketTarget[] = [
  { path: "/connection/websocket", messages: CENTRIFUGE },
  {
    path: "/connection/websocket",
    protocol: PROTOBUF,
    messages: [...CENTRIFUGE, ...CENTRIFUGE.map((lines) => lines.replaceAll("TEXT", '"chat:a"'))],
    encode: encodeLines,
  },
  { path: "/connection/uni_websocket", messages: ONE_WAY },
  { path: "/ws", messages: JSON_PROTOCOL },
  { path: "/sync/fuzz", messages: TINYBASE },
  { path: "/sync", protocol: "tinybase", messages: MULTIPLEXED },
  { path: "/relay/fuzz", messages: PIPE },
  { path: "/hub/ws?userId=eve", messages: ['{"type":"x","payload":VALUE}', '{"type":"ack","payload":TEXT}'] },
  { path: "/chat/ws/general/Eve", messages: ["hello", "TEXT", '{"Type":"message","Content":TEXT}'] },
  { path: "/echo", messages: ["hello", "VALUE"] },
];

/** Bodies of the server API, by method. They disconnect nobody beside the attack. */
const API: Readonly<Record<string, readonly string[]>> = {
  "publish": ['{"channel":TEXT,"data":VALUE,"tags":{"a":TEXT},"idempotency_key":TEXT,"version":VALUE}'],
  "broadcast": ['{"channels":[TEXT,TEXT,VALUE],"data":VALUE,"b64data":TEXT}'],
  "subscribe": ['{"user":TEXT,"channel":TEXT,"data":VALUE,"recover_since":{"offset":VALUE,"epoch":TEXT}}'],
  "unsubscribe": ['{"user":TEXT,"channel":TEXT}'],
  "disconnect": [
    '{"user":TEXT,"session":TEXT,"whitelist":[VALUE],"disconnect":{"code":VALUE,"reason":TEXT}}',
  ],
  "refresh": ['{"user":TEXT,"expire_at":VALUE,"info":VALUE}'],
  "presence": ['{"channel":TEXT}'],
  "presence_stats": ['{"channel":TEXT}'],
  "history": ['{"channel":TEXT,"limit":VALUE,"since":{"offset":VALUE,"epoch":TEXT},"reverse":VALUE}'],
  "history_remove": ['{"channel":TEXT}'],
  "channels": ['{"pattern":TEXT,"limit":VALUE,"cursor":TEXT}'],
  "info": ["{}"],
  "rpc": ['{"method":TEXT,"params":VALUE}', '{"method":"home.add","params":{"idea":TEXT}}'],
  "batch": ['{"commands":[{"publish":{"channel":TEXT,"data":VALUE}},VALUE,{TEXT:VALUE}],"parallel":VALUE}'],
  "schedule": [
    '{"channel":TEXT,"data":VALUE,"delay":VALUE,"id":TEXT}',
    '{"channel":TEXT,"data":1,"every":TEXT}',
  ],
  "schedule/list": ['{"channel":TEXT,"after":VALUE,"limit":VALUE}'],
  "schedule/cancel": ['{"channel":TEXT,"id":TEXT}'],
  "connections": ['{"user":TEXT,"channel":TEXT,"limit":VALUE,"cursor":TEXT}'],
  "connection": ['{"client":TEXT}'],
  "revoke": ['{"jti":TEXT,"until":VALUE}', '{"user":TEXT}'],
  "api_keys": ["{}"],
  "api_keys/add": ['{"name":TEXT,"permissions":[TEXT,"read:news"],"expires_at":VALUE}'],
  "api_keys/end": ['{"name":TEXT}'],
  "webhooks": ["{}"],
  "dead_letters": ['{"name":TEXT,"after":VALUE,"limit":VALUE}'],
  "dead_letters/retry": ['{"name":TEXT,"ids":[VALUE]}'],
  "dead_letters/empty": ['{"name":TEXT,"ids":VALUE}'],
  "query": ['{"name":"home.ideas","params":{"a":VALUE}}', '{"name":TEXT}'],
  "tables": ["{}"],
  "backup": ['{"name":TEXT}'],
  "reload": ["{}"],
  "stats": ["{}"],
  "figures": ['{"after":VALUE}'],
  "health": ["{}"],
  "search": ['{"text":TEXT,"limit":VALUE}'],
  "channel": ['{"channel":TEXT}'],
  "channel/close": ['{"channel":TEXT}'],
  "verdict": [
    '{"channel":TEXT,"token":TEXT}',
    '{"channel":TEXT,"user":TEXT}',
    '{"channel":TEXT,"anonymous":VALUE}',
  ],
  "journal": ['{"user":TEXT}', '{"client":TEXT}'],
  "methods": ["{}"],
  "table": ['{"name":TEXT,"limit":VALUE,"after":[VALUE]}'],
  "table/insert": ['{"name":TEXT,"values":{TEXT:VALUE}}', '{"name":"home_ideas","values":{"text":VALUE}}'],
  "table/update": ['{"name":"home_ideas","key":[VALUE],"values":{"votes":VALUE}}'],
  "table/delete": ['{"name":TEXT,"key":[VALUE,VALUE]}', '{"name":"home_ideas","key":[VALUE]}'],
  "database": ["{}"],
  "queries": ["{}"],
  "queries/instances": ['{"name":TEXT,"limit":VALUE}'],
  "queries/explain": ['{"name":TEXT}'],
  "settings": ["{}"],
  "recorder": ["{}"],
  "recorder/start": ['{"seconds":VALUE}'],
  "recorder/stop": ["{}"],
  "log": ['{"after":VALUE}'],
};

/** Every route, with the methods and bodies it knows. */
export const ROUTES: readonly { path: string; bodies?: readonly string[] }[] = [
  { path: "/" },
  { path: "/centrifuge.js" },
  { path: "/live_rows.js" },
  ...["plugboard.js", "plugboard-react.js", "plugboard.d.ts", "plugboard-react.d.ts"].map((file) => ({
    path: `/${file}`,
  })),
  { path: "/health" },
  { path: "/health/ready" },
  { path: "/health/live" },
  ...["channel.js", "code.js", "dom.js", "icon.svg", "ideas.js", "main.js", "style.css"].map((file) => ({
    path: `/home/${file}`,
  })),
  ...files({ path: "/admin", apiPath: "/api", open: false }).map(([path]) => ({ path })),
  { path: "/metrics" },
  { path: "/api/stats" },
  { path: "/api/trace?channel=TEXT" },
  { path: "/api/trace/recording" },
  { path: "/hub/health" },
  {
    path: "/hub/api/send",
    bodies: ['{"targetUserId":TEXT,"message":{"type":"x","payload":VALUE}}', "VALUE"],
  },
  { path: "/hub/api/broadcast", bodies: ['{"type":TEXT,"payload":VALUE,"timestamp":TEXT}', "VALUE"] },
  { path: "/chat/rooms", bodies: ['{"name":TEXT}', "VALUE"] },
  { path: "/chat/rooms/TEXT" },
  { path: "/chat/rooms/TEXT/users" },
  { path: "/chat/rooms/TEXT/messages?limit=VALUE&before=VALUE" },
  { path: "/relay" },
  { path: "/connection/http_stream", bodies: CENTRIFUGE },
  { path: "/connection/sse", bodies: CENTRIFUGE },
  { path: "/connection/sse?cf_connect=TEXT" },
  { path: "/connection/uni_http_stream", bodies: ONE_WAY },
  { path: "/connection/uni_sse", bodies: ONE_WAY },
  { path: "/connection/uni_sse?cf_connect=VALUE" },
  { path: "/emulation", bodies: ['{"session":TEXT,"node":TEXT,"data":TEXT}', "VALUE"] },
  ...Object.entries(API).map(([method, bodies]) => ({
    path: `/api/${method}`,
    bodies: [...bodies, "VALUE"],
  })),
  {
    path: "/api",
    bodies: ['{"id":VALUE,"method":TEXT,"params":VALUE}\n{"method":"publish","params":{"channel":TEXT}}'],
  },
  ...["", "/openapi.json", "/page.css", "/page.js"].map((file) => ({ path: `/api${file}` })),
  ...SOCKETS.map(({ path }) => ({ path })),
];

/** Fills in the random parts of a message. */
export function fill(template: string, random: Random): string {
  return template.replace(/TEXT|VALUE/g, (part) => {
    return JSON.stringify(part === "TEXT" ? random.text() : random.value());
  });
}

/** A message of a target: as it should be, changed, or nothing of the kind. */
export function messageFor(
  { messages, encode }: Pick<SocketTarget, "messages" | "encode">,
  random: Random,
): string | Uint8Array<ArrayBuffer> {
  const kind = random.below(20);
  if (kind === 0) return random.bytes(2_000);
  if (kind === 1) return JSON.stringify(random.value());
  if (kind === 2) return "[{".repeat(random.below(5_000));
  const message = fill(random.pick(messages), random);
  if (encode !== undefined) return kind < 12 ? encode(message) : changedBytes(encode(message), random);
  if (kind === 3) return new TextEncoder().encode(message);
  return kind < 12 ? message : changed(message, random);
}

/** Bytes of which some are others, or missing. */
function changedBytes(bytes: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  for (let left = 1 + random.below(4); left > 0; left--) {
    bytes[random.below(bytes.length)] = random.pick([0, 1, 127, 128, 255, random.below(256)]);
  }
  return random.chance(0.3) ? bytes.slice(0, random.below(bytes.length + 1)) : bytes;
}

/** A text with one to four of its places changed. */
export function changed(text: string, random: Random): string {
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(text.length + 1);
    const [before, after] = [text.slice(0, at), text.slice(at)];
    const kind = random.below(6);
    if (kind === 0) text = before + after.slice(1 + random.below(8));
    else if (kind === 1) text = before + random.text() + after;
    else if (kind === 2) text = before;
    else if (kind === 3) text = before + after.slice(0, 20).repeat(1 + random.below(50)) + after;
    else if (kind === 4) {
      text = before + random.pick(['"', "{", "}", "[", "]", ",", ":", "\\", "\n", "|"]) + after;
    } else text = text.replace(/\d+/, () => String(random.pick([-1, 2 ** 53, 1e21, 0.1])));
  }
  return text;
}
