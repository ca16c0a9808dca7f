import assert from "node:assert/strict";
import { Hono } from "@hono/hono";
import { Server } from "../../../core/mod.ts";
import { echo } from "../../../plugins/protocols/echo.ts";
import { health } from "../../../plugins/health.ts";
import { Client, serve, within } from "../../kit/mod.ts";

async function assertEcho(client: Client, text: string) {
  client.send(text);
  assert.equal(await client.next(), text);
  await client.close();
}

async function mounted() {
  const server = new Server({ port: false, drainMs: 200 });
  server.use(health());
  server.use(echo({ path: "/rt/echo" }));
  await server.start();
  return server;
}

Deno.test("Q07 a server is mounted in another Deno.serve", async () => {
  const server = await mounted();
  const http = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request, info) =>
      new URL(request.url).pathname === "/own" ? new Response("own") : server.fetch(request, info),
  );
  const url = `http://127.0.0.1:${http.addr.port}`;
  assert.equal(await (await fetch(`${url}/own`)).text(), "own");
  assert.equal((await (await fetch(`${url}/health`)).json()).status, "healthy");
  await assertEcho(await Client.connect(`${url}/rt/echo`), "mounted");
  await server.stop();
  await http.shutdown();
});

Deno.test("Q07 a server is mounted in a Hono app", async () => {
  const server = await mounted();
  const app = new Hono();
  app.get("/own", (c) => c.text("own"));
  app.all("/rt/*", (c) => server.fetch(c.req.raw));
  const http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, app.fetch);
  const url = `http://127.0.0.1:${http.addr.port}`;
  assert.equal(await (await fetch(`${url}/own`)).text(), "own");
  await assertEcho(await Client.connect(`${url}/rt/echo`), "in hono");
  await server.stop();
  await http.shutdown();
});

Deno.test("accept opens a connection on a socket of another server", async () => {
  const server = await mounted();
  const http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    server.accept(socket, "/rt/echo", { ip: "10.0.0.1" });
    return response;
  });
  const client = await Client.connect(`http://127.0.0.1:${http.addr.port}/anywhere`);
  client.send("accepted");
  assert.equal(await client.next(), "accepted");
  const [conn] = server.connections;
  assert.equal(conn!.ip, "10.0.0.1");
  await client.close();
  await server.stop();
  await http.shutdown();
});

Deno.test("Q08 the server listens with TLS, and a missing or invalid file fails the start with a sentence", async () => {
  const folder = await Deno.makeTempDir();
  const [certFile, keyFile] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  const { success } = await new Deno.Command("openssl", {
    args: [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
        .split(" "),
      ...["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"],
      ...["-keyout", keyFile, "-out", certFile],
    ],
    stderr: "null",
  }).output();
  assert.ok(success);
  {
    await using server = await serve({ tls: { certFile, keyFile } }, health());
    assert.match(server.url, /^https:/);
    using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(certFile)] });
    const response = await within("the answer", fetch(`https://localhost:${server.port}/health`, { client }));
    assert.equal((await response.json()).status, "healthy");
  }
  const sentence = async (tls: { certFile: string; keyFile: string }) => {
    const server = new Server({ port: 0, tls });
    try {
      await server.start();
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.match(
    (await sentence({ certFile: `${folder}/none.pem`, keyFile }))!,
    /"tls.certFile" cannot be read/,
  );
  assert.match(
    (await sentence({ certFile, keyFile: `${folder}/none.pem` }))!,
    /"tls.keyFile" cannot be read/,
  );
  await Deno.writeTextFile(`${folder}/bad.pem`, "not a certificate");
  assert.match((await sentence({ certFile, keyFile: `${folder}/bad.pem` }))!, /bad\.pem/);
  await Deno.remove(folder, { recursive: true });
});
