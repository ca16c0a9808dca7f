import fc from "fast-check";
import type { Transaction, Value } from "../../../plugins/persistence.ts";

/** Tables of every kind, connected by cascades and triggers. */
export const SCHEMA = `
  CREATE TABLE a (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n);
  CREATE TABLE b (
    k TEXT PRIMARY KEY NOT NULL, a_id INTEGER REFERENCES a ON DELETE CASCADE ON UPDATE CASCADE, n
  ) WITHOUT ROWID;
  CREATE TABLE c (
    p TEXT NOT NULL, n INTEGER NOT NULL, u UNIQUE ON CONFLICT REPLACE, next AS (n + 1),
    b_k REFERENCES b ON DELETE SET NULL ON UPDATE CASCADE, PRIMARY KEY (p, n)
  );
  CREATE TABLE nullable (k TEXT PRIMARY KEY, n);
  CREATE TABLE keyless (n);
  CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT);
  CREATE TRIGGER a_in AFTER INSERT ON a BEGIN INSERT INTO audit (what) VALUES ('in ' || new.id); END;
  CREATE TRIGGER a_7 AFTER UPDATE ON a WHEN new.n = 7 BEGIN DELETE FROM audit; END;
  CREATE TRIGGER b_out AFTER DELETE ON b BEGIN
    UPDATE c SET n = n + 1 WHERE p = old.k;
    INSERT OR REPLACE INTO nullable VALUES (old.k, old.n);
  END;
  CREATE TRIGGER c_no BEFORE UPDATE ON c WHEN new.n = 5 BEGIN SELECT raise(ABORT, 'no five'); END;
  CREATE TRIGGER c_all BEFORE UPDATE ON c WHEN new.n = 6 BEGIN SELECT raise(ROLLBACK, 'no six'); END;
  CREATE TRIGGER loose_in AFTER INSERT ON keyless BEGIN DELETE FROM nullable WHERE n = new.n; END;
  INSERT INTO a VALUES (1, '1', 1), (2, '2', 2), (3, NULL, NULL);
  INSERT INTO b VALUES ('p', 1, 0), ('q', 2, 0), ('r', 2, 0);
  INSERT INTO c (p, n, u, b_k) VALUES ('p', 1, '1', 'p'), ('q', 2, '2', 'p'), ('q', 4, NULL, 'r');
  INSERT INTO nullable VALUES ('p', 1), ('q', 2);
`;
/** Their columns, without generated ones. */
export const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  a: ["id", "u", "n"],
  b: ["k", "a_id", "n"],
  c: ["p", "n", "u", "b_k"],
  nullable: ["k", "n"],
  keyless: ["n"],
  audit: ["id", "what"],
};
/** Tables whose changed rows are always known. */
export const KNOWN_ROWS = ["a", "b", "c", "audit"];

interface Sql {
  sql: string;
  params: Value[];
}

/** One step of a write. */
export type Step =
  | { type: "sql"; statement: Sql; /** Whether a failure fails the whole write. */ matters: boolean }
  | { type: "savepoint"; steps: Step[]; fails: boolean }
  | { type: "define"; sql: string };

const small: fc.Arbitrary<Value> = fc.oneof(
  fc.integer({ min: 0, max: 7 }),
  fc.constantFrom("x", "y", "z", "1", ""),
  fc.constantFrom<Value>(null, 1.5, 2n ** 60n, new Uint8Array([1])),
);
const rarely = fc.integer({ max: 4, min: 0 }).map((n) => n === 4);
const id = fc.integer({ min: 0, max: 9 });
const name = fc.constantFrom("p", "q", "r", "s");
/** Values that fit the columns. */
const FITTING: Record<string, fc.Arbitrary<Value>> = {
  id,
  a_id: fc.option(id),
  k: name,
  p: name,
  b_k: fc.option(name),
  u: fc.option(fc.integer({ min: 0, max: 20 }).map(String)),
};
const table = fc.constantFrom(...Object.keys(COLUMNS));
const conflict = fc.constantFrom("", "", "OR REPLACE", "OR REPLACE", "OR IGNORE", "OR FAIL", "OR ROLLBACK");

function insert(name: string, or: string, params: Value[]): Sql {
  return { sql: `INSERT ${or} INTO ${name} (${COLUMNS[name]}) VALUES (${params.map(() => "?")})`, params };
}

const inserts = fc.tuple(table, conflict).chain(([name, or]) =>
  fc.tuple(...COLUMNS[name]!.map(fitting)).map((params) => insert(name, or, params))
);
const updates = fc.tuple(table, conflict, fc.nat(), fc.nat()).chain(([name, or, i, j]) => {
  const [to, where] = [pick(name, i), pick(name, j)];
  return fc.tuple(fitting(to), fitting(where)).map((params): Sql => ({
    sql: `UPDATE ${or} ${name} SET ${to} = ? WHERE ${where} ${i % 2 ? "=" : ">="} ?`,
    params,
  }));
});
const deletes = fc.tuple(table, fc.nat()).chain(([name, i]) =>
  fitting(pick(name, i)).map((where): Sql => ({
    sql: `DELETE FROM ${name} WHERE ${pick(name, i)} = ?`,
    params: [where],
  }))
);
const wipes = table.map((name): Sql => ({ sql: `DELETE FROM ${name}`, params: [] }));
const upserts = fc.tuple(id, small).map((params): Sql => ({
  sql: "INSERT INTO a (id, n) VALUES (?, ?) ON CONFLICT DO UPDATE SET n = 7, u = excluded.n",
  params,
}));
const sql = fc.oneof(
  { weight: 6, arbitrary: inserts },
  { weight: 4, arbitrary: updates },
  { weight: 2, arbitrary: deletes },
  { weight: 1, arbitrary: wipes },
  { weight: 1, arbitrary: upserts },
);
const definitions = fc.constantFrom(
  "CREATE INDEX IF NOT EXISTS i ON b (n)",
  "DROP INDEX IF EXISTS i",
  "ALTER TABLE a ADD COLUMN extra",
  "ALTER TABLE a DROP COLUMN extra",
);

const { steps } = fc.letrec<{ step: Step; steps: Step[] }>((tie) => ({
  step: fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({ type: fc.constant("sql" as const), statement: sql, matters: rarely }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant("savepoint" as const), steps: tie("steps"), fails: rarely }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("define" as const), sql: definitions }) },
  ),
  steps: fc.array(tie("step"), { maxLength: 6 }),
}));

const write = fc.record({ steps, fails: rarely });
/** The concurrent writes of each turn. */
export const history = fc.array(fc.array(write, { minLength: 1, maxLength: 4 }), { maxLength: 5 });

function fitting(column: string): fc.Arbitrary<Value> {
  return fc.oneof({ weight: 6, arbitrary: FITTING[column] ?? small }, { weight: 1, arbitrary: small });
}

function pick(name: string, i: number): string {
  return COLUMNS[name]![i % COLUMNS[name]!.length]!;
}

/** Runs the steps of a write. */
export function perform(tx: Transaction, todo: readonly Step[]): void {
  for (const step of todo) {
    if (step.type === "savepoint") {
      attempt(true, () =>
        tx.savepoint(() => {
          perform(tx, step.steps);
          if (step.fails) throw new Error("undo");
        }));
    } else if (step.type === "define") attempt(true, () => tx.exec(step.sql));
    else attempt(!step.matters, () => tx.run(step.statement.sql, step.statement.params));
  }
}

function attempt(swallow: boolean, run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!swallow) throw error;
  }
}
