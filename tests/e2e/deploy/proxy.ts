/** Runs the proxies of `examples/deploy` with their configuration files and other addresses. */

import assert from "node:assert/strict";
import { root } from "../../kit/example.ts";
import { freePort } from "../../kit/ports.ts";
import { until, within } from "../../kit/mod.ts";

/** A running proxy and a client that trusts its certificate. */
export interface RunningProxy extends AsyncDisposable {
  readonly url: string;
  /** Connects from 127.0.0.2, so that the proxy and its clients have different addresses. */
  readonly client: Deno.HttpClient;
}

/** Replacements in a file. */
type Changes = readonly (readonly [string, string])[];

/** Temporary folders of nginx, which by default only root can write. */
const TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

/** Starts nginx with the example's configuration. */
export function startNginx(program: string, upstream: number, more: Changes = []): Promise<RunningProxy> {
  return start("nginx.conf", ({ port, folder }) => ({
    changes: [
      ["listen 80;", `listen 127.0.0.1:${freePort()};`],
      ["listen 443 ssl", `listen 127.0.0.1:${port} ssl`],
      ["server 127.0.0.1:8080;", `server 127.0.0.1:${upstream};`],
      ["/etc/letsencrypt/live/realtime.example.com/fullchain.pem", `${folder}/cert.pem`],
      ["/etc/letsencrypt/live/realtime.example.com/privkey.pem", `${folder}/key.pem`],
      ["worker_rlimit_nofile 200000;", ""], // needs root
      ["worker_connections 100000;", "worker_connections 1000;"],
      ["http {", `http { ${TEMPORARY.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(" ")}`],
      ...more,
    ],
    command: (file) =>
      new Deno.Command(program, {
        args: ["-p", folder, "-c", file, "-e", "stderr", "-g", `daemon off; pid ${folder}/pid;`],
        stderr: "piped",
      }),
    end: "SIGTERM",
  }));
}

/** Starts Caddy with the example's configuration, or with that for several nodes. */
export function startCaddy(program: string, upstream: number | readonly number[]): Promise<RunningProxy> {
  const [example, from] = typeof upstream === "number"
    ? ["Caddyfile", "127.0.0.1:8080"]
    : ["Caddyfile.cluster", "node1:8080 node2:8080 node3:8080"];
  return start(example, ({ port, folder }) => ({
    changes: [
      [
        "realtime.example.com {",
        `{\nadmin off\nauto_https off\n}\nhttps://localhost:${port} {\nbind 127.0.0.1\n` +
        `tls ${folder}/cert.pem ${folder}/key.pem`,
      ],
      [from, [upstream].flat().map((each) => `127.0.0.1:${each}`).join(" ")],
    ],
    command: (file) =>
      new Deno.Command(program, {
        args: ["run", "--adapter", "caddyfile", "--config", file],
        env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
        stderr: "piped",
      }),
    end: "SIGQUIT",
  }));
}

async function start(
  example: string,
  prepare: (place: { port: number; folder: string }) => {
    changes: Changes;
    command: (file: string) => Deno.Command;
    /** Stops it immediately, with open connections. */
    end: Deno.Signal;
  },
): Promise<RunningProxy> {
  const folder = await Deno.makeTempDir();
  await makeCertificate(folder);
  const port = freePort();
  const { changes, command, end } = prepare({ port, folder });
  let text = Deno.readTextFileSync(new URL(`examples/deploy/${example}`, root));
  for (const [before, after] of changes) {
    assert.equal(text.split(before).length, 2, `${JSON.stringify(before)} must be in ${example} once`);
    text = text.replace(before, after);
  }
  const file = `${folder}/${example}`;
  Deno.writeTextFileSync(file, text);

  const child = command(file).spawn();
  const errors = new Response(child.stderr).text();
  let exited = false;
  child.status.then(() => exited = true);
  const caCerts = [Deno.readTextFileSync(`${folder}/cert.pem`)];
  const client = Deno.createHttpClient({ caCerts, localAddress: "127.0.0.2" });
  const url = `https://localhost:${port}`;
  const proxy: RunningProxy = {
    url,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      if (!exited) child.kill(end);
      await within("the end of the proxy", child.status);
      await errors;
      await Deno.remove(folder, { recursive: true });
    },
  };
  await until(`an answer through ${example}`, async () => {
    if (exited) throw new Error(`It did not start: ${await errors}`);
    return await fetch(`${url}/health`, { client }).then(async (response) => {
      await response.body?.cancel();
      return response.ok;
    }, () => false);
  });
  return proxy;
}

/** Makes a certificate for `localhost`, `cert.pem` and `key.pem`. */
export async function makeCertificate(folder: string): Promise<void> {
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const ordinary = ["-addext", "basicConstraints=critical,CA:FALSE", "-days", "2", "-nodes"];
  const { success } = await new Deno.Command("openssl", {
    args: [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      ...subject,
      ...ordinary,
    ]
      .concat(["-keyout", `${folder}/key.pem`, "-out", `${folder}/cert.pem`]),
    stderr: "null",
  }).output();
  assert.ok(success);
}
