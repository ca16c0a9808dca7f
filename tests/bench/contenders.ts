/** The contenders and their dialogues. A new contender is a program and an entry here. */

import { encodeDelimited, type Fields } from "../../plugins/protocols/centrifuge/protobuf/encode.ts";
import { schema } from "../../plugins/protocols/centrifuge/protobuf/schema.ts";
import { API_KEY } from "./api_key.ts";
import type { Rivals } from "./rivals.ts";
import { PAYLOAD_BYTES } from "./scenarios/drive.ts";
import { tinybaseContenders, wsServer } from "./scenarios/tinybase.ts";
import type { Contender, Dialogue } from "./types.ts";

const program = (file: string) => new URL(`./contenders/${file}`, import.meta.url).pathname;
const deno = (file: string) => [Deno.execPath(), "run", "--quiet", "--allow-all", program(file)];

/** A dialogue that delivers what is sent. */
const plain = (path: string): Dialogue => ({ path, message: "$payload" });

/** Socket.IO: `0` opens, `2` and `3` are ping and pong, `40` joins, `42` is an event. */
const socketIo = (event: string): Dialogue => ({
  path: "/socket.io/?EIO=4&transport=websocket",
  hello: ["40"],
  ready: '40{"sid"',
  message: `42["${event}","$payload"]`,
  ping: { frame: "2", answer: "3" },
});

/** Centrifuge: a frame may have several lines. */
const centrifuge: Dialogue = {
  path: "/connection/websocket",
  hello: ['{"connect":{},"id":1}\n{"subscribe":{"channel":"room"},"id":2}'],
  ready: '"id":2,"subscribe"',
  message: '{"publish":{"channel":"room","data":"$payload"},"id":3}',
  ping: { frame: "{}", answer: "{}" },
};

/** Centrifuge in Protobuf: the same. */
const protobuf: Dialogue = {
  path: "/connection/websocket?format=protobuf",
  binary: true,
  hello: [command({ id: 1, connect: {} }) + command({ id: 2, subscribe: { channel: "room" } })],
  ready: "\x08\x022", // the id 2 and the field of a subscription
  message: command({ id: 3, publish: { channel: "room", data: encoded(`"${"x".repeat(PAYLOAD_BYTES)}"`) } })
    .replace(/x+/, "$$payload"),
  ping: { frame: "\0", answer: "\0" },
};

function command(fields: Fields): string {
  return String.fromCharCode(...encodeDelimited(schema.Command, fields));
}

function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The json protocol: one message per frame. */
const json: Dialogue = {
  path: "/ws",
  hello: ['{"type":"subscribe","channel":"room"}'],
  ready: '"type":"subscribed"',
  message: '{"type":"publish","channel":"room","data":"$payload"}',
};

/** The contenders of this repository. */
export const ours: readonly Contender[] = [
  { name: "bare", command: deno("bare.ts"), speaks: { fanout: plain("/room"), echo: plain("/echo") } },
  { name: "kernel", command: deno("kernel.ts"), speaks: { fanout: plain("/frames"), echo: plain("/echo") } },
  { name: "kernel-lines", command: deno("kernel.ts"), speaks: { fanout: plain("/lines") } },
  { name: "plugboard", command: deno("plugboard.ts"), speaks: { fanout: centrifuge } },
  { name: "main", command: deno("main.ts"), speaks: { fanout: centrifuge } },
  { name: "protobuf", command: deno("plugboard.ts"), speaks: { fanout: protobuf } },
  { name: "json", command: deno("plugboard.ts"), speaks: { fanout: json } },
  { name: "no-log", command: [...deno("plugboard.ts"), "no-log"], speaks: { fanout: centrifuge } },
  {
    name: "workers",
    command: [...deno("plugboard.ts"), "workers"],
    usesCores: true,
    speaks: { fanout: centrifuge },
  },
  { name: "durable", command: [...deno("plugboard.ts"), "durable"], speaks: { fanout: centrifuge } },
  ...tinybaseContenders,
];

/** Returns Centrifugo, with the settings that Plugboard's default namespace has. */
export function centrifugo(path: string): Contender {
  const settings = {
    HTTP_SERVER_ADDRESS: "127.0.0.1",
    HTTP_SERVER_PORT: "$port",
    LOG_LEVEL: "error",
    CLIENT_INSECURE: "true",
    HTTP_API_KEY: API_KEY,
    CLIENT_ALLOWED_ORIGINS: "*",
    CHANNEL_WITHOUT_NAMESPACE_PRESENCE: "true",
    CHANNEL_WITHOUT_NAMESPACE_HISTORY_SIZE: "100",
    CHANNEL_WITHOUT_NAMESPACE_HISTORY_TTL: "300s",
    CHANNEL_WITHOUT_NAMESPACE_FORCE_RECOVERY: "true",
  };
  const variables = Object.entries(settings).map(([name, value]) => `CENTRIFUGO_${name}=${value}`);
  return { name: "centrifugo", command: ["env", ...variables, path], speaks: { fanout: centrifuge } };
}

/** Returns the contenders of this repository in another checkout, to compare before and after a change. */
export function asIn(checkout: string, names: readonly string[]): Contender[] {
  const here = new URL("../../", import.meta.url).pathname;
  const there = `${Deno.realPathSync(checkout)}/`;
  return ours.filter(({ name }) => names.includes(name)).map((contender) => ({
    ...contender,
    name: `${contender.name} before`,
    command: contender.command.map((word) => word.startsWith(here) ? word.replace(here, there) : word),
  }));
}

/** Returns the other contenders. `node` is the command for Node programs. */
export function others({ folder, bun }: Rivals, node: readonly string[]): readonly Contender[] {
  const both = { fanout: plain("/room"), echo: plain("/echo") };
  return [
    { name: "bun", command: [bun, program("bun.mjs")], speaks: both },
    { name: "ws", command: [...node, program("ws.mjs")], cwd: folder, speaks: both },
    // In two processes, to compare with workers. Deno does not share a port between the processes of a cluster.
    {
      name: "bun cluster",
      command: [bun, program("cluster.mjs")],
      usesCores: true,
      speaks: { fanout: plain("/room") },
    },
    ...(node[0] === "node" ? [wsCluster(folder, node)] : []),
    {
      name: "socket.io",
      command: [...node, program("socket_io.mjs")],
      cwd: folder,
      speaks: { fanout: socketIo("publish"), echo: socketIo("echo") },
    },
    wsServer(folder, node),
  ];
}

function wsCluster(cwd: string, node: readonly string[]): Contender {
  return {
    name: "ws cluster",
    command: [...node, program("cluster.mjs")],
    cwd,
    usesCores: true,
    speaks: { fanout: plain("/room") },
  };
}

/** The names of all contenders, for the command line. */
export const contenderNames = [
  "bare",
  "bun",
  "ws",
  "bun cluster",
  "ws cluster",
  "socket.io",
  "centrifugo",
  "kernel",
  "kernel-lines",
  "plugboard",
  "main",
  "protobuf",
  "json",
  "no-log",
  "workers",
  "durable",
  "bare relay",
  "plugboard relay",
  "plugboard store",
  "WsServer",
] as const;
