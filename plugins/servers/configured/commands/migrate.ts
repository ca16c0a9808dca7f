import { PlugboardError, Server } from "../../../../core/mod.ts";
import { persistence } from "../../../persistence.ts";
import { migrateFrom, readMigrations } from "../migrations.ts";
import { type Command, progress } from "./command.ts";

/** Runs the migrations without starting a server. */
export const migrate: Command = {
  name: "migrate",
  arguments: "",
  help: "Runs the migrations that the database has not seen; the server must not run",
  flags: {},
  examples: ["migrate", "migrate --migrations shop/migrations --data-dir /srv/data"],
  async run({ loaded: { settings }, print }) {
    if (settings.migrations === undefined) {
      throw new PlugboardError("bad_setting", "There is no folder of migrations: set migrations in the file");
    }
    const files = readMigrations(settings.migrations);
    const server = new Server({ port: false });
    const store = server.use(
      persistence({ ...settings.plugins.persistence, path: `${settings.dataDir}/plugboard.db` }),
    );
    const bar = progress();
    const ran = new Set<string>();
    await server.start();
    try {
      await migrateFrom(store, files, (name) => {
        ran.add(name);
        bar.show(`${ran.size}: ${name}`);
      });
    } finally {
      bar.end();
      await server.stop();
    }
    print(ran.size === 0 ? "There is nothing to do" : [...ran].join("\n"));
  },
};
