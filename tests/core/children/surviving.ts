// deno-lint-ignore-file no-console -- the test reads the output
import { run, Server } from "../../../core/mod.ts";

const boom = () => {
  throw new Error("boom");
};

const server = new Server({ port: 0 });
server.use({
  name: "careless",
  log: ({ level, plugin, message, fields }) =>
    void (level === "error" && console.log(level, plugin, message, (fields.error as Error).message)),
  routes(app) {
    app.get("/timer", async (c) => {
      setTimeout(boom);
      await new Promise((resolve) => setTimeout(resolve, 1));
      return c.text("still here");
    });
    app.get("/promise", (c) => {
      void Promise.reject(new Error("boom"));
      return c.text("still here");
    });
  },
});
await run(server);
console.log(server.address.url);
