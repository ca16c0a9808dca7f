import { PlugboardError } from "../../core/mod.ts";
import type { LiveQueries } from "../live_queries.ts";
import type { Mutation, Mutations } from "../mutations.ts";
import type { Store } from "../persistence.ts";

/** Services of the demo. */
export interface HomeDemo {
  /** Stores the table. */
  store: Pick<Store, "migrate">;
  /** Defines the query. */
  queries: Pick<LiveQueries, "define">;
  /** Defines the mutations. */
  changes: Pick<Mutations, "define">;
}

/** Maximum number of rows, and of letters in one. */
const MAX_IDEAS = 20;
const MAX_LETTERS = 60;

const TABLE = `
  CREATE TABLE home_ideas (
    id INTEGER PRIMARY KEY,
    idea TEXT NOT NULL,
    votes INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  INSERT INTO home_ideas (idea) VALUES ('A chat'), ('A board of orders'), ('A game for two');
`;

/**
 * Defines the live query of the page and its two mutations, on a small table of ideas. Resolves to a function that
 * removes the definitions.
 */
export async function defineDemo({ store, queries, changes }: HomeDemo): Promise<() => void> {
  await store.migrate("home", [TABLE]);
  const removals = [
    queries.define("home.ideas", {
      sql: `SELECT id, idea, votes FROM home_ideas ORDER BY votes DESC, id LIMIT ${MAX_IDEAS}`,
    }),
    changes.define("home.add", add),
    changes.define("home.vote", vote),
  ];
  return () => {
    for (const remove of removals.splice(0)) remove();
  };
}

const allow: NonNullable<Mutation<unknown, unknown>["allow"]> = ({ identity }) =>
  identity.can("write", "home");

const add: Mutation<{ idea: string }, void> = {
  args(value) {
    const { idea } = (value ?? {}) as { idea?: unknown };
    const trimmed = typeof idea === "string" ? idea.trim() : "";
    if (trimmed === "" || trimmed.length > MAX_LETTERS) {
      throw new PlugboardError("bad_request", `An idea has 1 to ${MAX_LETTERS} letters`);
    }
    return { idea: trimmed };
  },
  allow,
  run(tx, { idea }) {
    tx.run("INSERT INTO home_ideas (idea) VALUES (?)", [idea]);
    tx.run(
      "DELETE FROM home_ideas WHERE id NOT IN (SELECT id FROM home_ideas ORDER BY id DESC LIMIT ?)",
      [MAX_IDEAS],
    );
  },
};

const vote: Mutation<{ id: number }, void> = {
  args(value) {
    const { id } = (value ?? {}) as { id?: unknown };
    if (!Number.isSafeInteger(id)) throw new PlugboardError("bad_request", "An idea's id is a whole number");
    return { id: id as number };
  },
  allow,
  run(tx, { id }) {
    const { changes } = tx.run("UPDATE home_ideas SET votes = votes + 1 WHERE id = ?", [id]);
    if (changes === 0) throw new PlugboardError("bad_request", "This idea does not exist");
  },
};
