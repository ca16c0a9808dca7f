/**
 * Keys and values for plugins that need no tables of their own.
 *
 * @module
 */

import { checkOptions, PlugboardError } from "../../core/mod.ts";
import { checkText } from "../shared/sql_text.ts";
import type { Migration, Reader, Transaction, Value } from "./sql_types.ts";
import type { Entry, KeyValueOptions, KeyValues, ListOptions, SetOptions, Store } from "./types.ts";

/** The tables. Triggers maintain the totals, so that limits need no counting. */
export const KEY_VALUE_TABLES: Migration = `
  CREATE TABLE plugboard_entries (
    namespace TEXT NOT NULL, key TEXT NOT NULL, value NOT NULL, expires_at INTEGER, PRIMARY KEY (namespace, key)
  );
  CREATE INDEX plugboard_entries_expiry ON plugboard_entries (expires_at) WHERE expires_at IS NOT NULL;
  CREATE TABLE plugboard_namespaces (
    namespace TEXT PRIMARY KEY NOT NULL, entries INTEGER NOT NULL, bytes INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TRIGGER plugboard_entries_insert AFTER INSERT ON plugboard_entries BEGIN
    INSERT INTO plugboard_namespaces VALUES (new.namespace, 1, octet_length(new.key) + octet_length(new.value))
      ON CONFLICT DO UPDATE SET entries = entries + 1, bytes = bytes + excluded.bytes;
  END;
  CREATE TRIGGER plugboard_entries_update AFTER UPDATE ON plugboard_entries BEGIN
    UPDATE plugboard_namespaces SET bytes = bytes + octet_length(new.value) - octet_length(old.value)
      WHERE namespace = new.namespace;
  END;
  CREATE TRIGGER plugboard_entries_delete AFTER DELETE ON plugboard_entries BEGIN
    UPDATE plugboard_namespaces SET entries = entries - 1,
      bytes = bytes - octet_length(old.key) - octet_length(old.value) WHERE namespace = old.namespace;
  END;
`;

/** The shares of owners, for {@linkcode SetOptions.owner}. */
export const OWNER_TABLES: Migration = `
  ALTER TABLE plugboard_entries ADD COLUMN owner TEXT;
  CREATE INDEX plugboard_entries_owner ON plugboard_entries (namespace, owner, expires_at) WHERE owner IS NOT NULL;
  CREATE TABLE plugboard_owners (
    namespace TEXT NOT NULL, owner TEXT NOT NULL, entries INTEGER NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (namespace, owner)
  ) WITHOUT ROWID;
  CREATE INDEX plugboard_owners_size ON plugboard_owners (namespace, bytes);
  CREATE TRIGGER plugboard_owners_insert AFTER INSERT ON plugboard_entries WHEN new.owner IS NOT NULL BEGIN
    INSERT INTO plugboard_owners
      VALUES (new.namespace, new.owner, 1, octet_length(new.key) + octet_length(new.value))
      ON CONFLICT DO UPDATE SET entries = entries + 1, bytes = bytes + excluded.bytes;
  END;
  CREATE TRIGGER plugboard_owners_update AFTER UPDATE ON plugboard_entries WHEN old.owner IS NOT NULL BEGIN
    UPDATE plugboard_owners SET bytes = bytes + octet_length(new.value) - octet_length(old.value)
      WHERE namespace = old.namespace AND owner = old.owner;
  END;
  CREATE TRIGGER plugboard_owners_delete AFTER DELETE ON plugboard_entries WHEN old.owner IS NOT NULL BEGIN
    UPDATE plugboard_owners SET entries = entries - 1, bytes = bytes - octet_length(old.key) - octet_length(old.value)
      WHERE namespace = old.namespace AND owner = old.owner;
    DELETE FROM plugboard_owners WHERE namespace = old.namespace AND owner = old.owner AND entries = 0;
  END;
`;

/** Expired entries that one write removes. */
const SWEEP_ENTRIES = 500;

/** Entries of the largest owner that are removed at once when a namespace is full. */
const EVICT_ENTRIES = 100;

/** Entries that one read of `load` returns. */
const PAGE_ENTRIES = 1_000;

const SELECT = "SELECT key, value, expires_at FROM plugboard_entries WHERE namespace = :namespace";
const ALIVE = "(expires_at IS NULL OR expires_at > :now)";
const UPSERT =
  "INSERT INTO plugboard_entries (namespace, key, value, expires_at, owner) VALUES (?, ?, ?, ?, ?) " +
  "ON CONFLICT DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at";
const BYTES = "SELECT octet_length(key) + octet_length(value) AS bytes FROM plugboard_entries " +
  "WHERE namespace = ? AND key = ?";
const SWEEP = "DELETE FROM plugboard_entries WHERE rowid IN " +
  "(SELECT rowid FROM plugboard_entries WHERE expires_at <= :now LIMIT :limit)";
const LARGEST = "SELECT owner FROM plugboard_owners WHERE namespace = ? ORDER BY bytes DESC LIMIT 1";
const EVICT = "DELETE FROM plugboard_entries WHERE rowid IN (SELECT rowid FROM plugboard_entries " +
  `WHERE namespace = ? AND owner = ? ORDER BY expires_at LIMIT ${EVICT_ENTRIES})`;
const SWEEP_NAMESPACE = "DELETE FROM plugboard_entries WHERE namespace = :namespace AND expires_at <= :now";

interface EntryRow {
  key: string;
  value: Value;
  expires_at: number | null;
}

interface Totals {
  entries: number;
  bytes: number;
}

/** Returns the keys and values of a namespace. */
export function keyValues<T>(
  store: Pick<Store, "all" | "get" | "write">,
  namespace: string,
  options: KeyValueOptions,
  now: () => number,
): KeyValues<T> {
  const { maxEntries = 100_000, maxValueBytes = 1_048_576, maxBytes = 268_435_456 } = options;
  const check = checkOptions(`key-value namespace ${JSON.stringify(namespace)}`);
  check.filled("namespace", namespace);
  check.positiveInteger("maxEntries", maxEntries);
  check.positiveInteger("maxValueBytes", maxValueBytes);
  check.positiveInteger("maxBytes", maxBytes);

  function get(reader: Reader, key: string): T | undefined {
    checkText("bad_parameter", "A key", key);
    const sql = `${SELECT} AND key = :key AND ${ALIVE}`;
    const row = reader.get<EntryRow>(sql, { namespace, key, now: now() });
    return row === undefined ? undefined : decode<T>(row.value);
  }

  function set(tx: Transaction, key: string, value: T, { ttlMs, owner }: SetOptions = {}): void {
    const encoded = encode(value);
    const size = bytesOf(encoded);
    if (size > maxValueBytes) {
      const sentence = `The value of ${
        JSON.stringify(key)
      } in ${namespace} has ${size} bytes, more than ${maxValueBytes}`;
      throw new PlugboardError("value_too_large", sentence);
    }
    const before = tx.get<{ bytes: number }>(BYTES, [namespace, key]);
    const added = {
      entries: before === undefined ? 1 : 0,
      bytes: bytesOf(key) + size - (before?.bytes ?? 0),
    };
    makeRoom(tx, added);
    tx.run(UPSERT, [namespace, key, encoded, ttlMs === undefined ? null : now() + ttlMs, owner ?? null]);
  }

  function makeRoom(tx: Transaction, added: Totals): void {
    while (!hasRoom(tx, added)) {
      const largest = tx.get<{ owner: string }>(LARGEST, [namespace]);
      if (largest !== undefined) {
        tx.run(EVICT, [namespace, largest.owner]);
      } else if (tx.run(SWEEP_NAMESPACE, { namespace, now: now() }).changes === 0) {
        throw new PlugboardError("namespace_full", `${namespace} holds as many entries or bytes as it may`);
      }
    }
  }

  function hasRoom(reader: Reader, added: Totals): boolean {
    const { entries, bytes } = totals(reader);
    return entries + added.entries <= maxEntries && bytes + added.bytes <= maxBytes;
  }

  function totals(reader: Reader): Totals {
    const sql = "SELECT entries, bytes FROM plugboard_namespaces WHERE namespace = ?";
    return reader.get<Totals>(sql, [namespace]) ?? { entries: 0, bytes: 0 };
  }

  function remove(tx: Transaction, key: string): boolean {
    const alive = get(tx, key) !== undefined;
    tx.run("DELETE FROM plugboard_entries WHERE namespace = ? AND key = ?", [namespace, key]);
    return alive;
  }

  function list({ prefix = "", after, limit = 100 }: ListOptions = {}): Entry<T>[] {
    const resumed = after?.startsWith(prefix) === true;
    const rows = store.all<EntryRow>(
      `${SELECT} AND key ${resumed ? ">" : ">="} :from AND ${ALIVE} ORDER BY key LIMIT :limit`,
      { namespace, from: resumed ? after! : prefix, now: now(), limit },
    );
    const end = rows.findIndex(({ key }) => !key.startsWith(prefix));
    return (end < 0 ? rows : rows.slice(0, end)).map(({ key, value, expires_at }) => ({
      key,
      value: decode<T>(value),
      expiresAt: expires_at ?? undefined,
    }));
  }

  return {
    get: (key) => get(store, key),
    list,
    *load() {
      for (let page = list({ limit: PAGE_ENTRIES }); page.length > 0;) {
        for (const { key, value } of page) yield [key, value] as const;
        page = list({ after: page.at(-1)!.key, limit: PAGE_ENTRIES });
      }
    },
    get size() {
      return totals(store).entries;
    },
    set: (key, value, how) => store.write((tx) => set(tx, key, value, how)),
    delete: (key) => store.write((tx) => void remove(tx, key)),
    within: (tx) => ({
      get: (key) => get(tx, key),
      set: (key, value, how) => set(tx, key, value, how),
      delete: (key) => remove(tx, key),
    }),
  };
}

/** Removes some expired entries of all namespaces; `true` if there may be more. */
export async function sweep(store: Pick<Store, "get" | "run">, now: number): Promise<boolean> {
  const due = store.get("SELECT 1 FROM plugboard_entries WHERE expires_at <= ? LIMIT 1", [now]);
  if (due === undefined) return false;
  const { changes } = await store.run(SWEEP, { now, limit: SWEEP_ENTRIES });
  return changes === SWEEP_ENTRIES;
}

function encode(value: unknown): string | Uint8Array {
  if (value instanceof Uint8Array) return value;
  const json = JSON.stringify(value);
  if (json === undefined) {
    throw new PlugboardError("bad_parameter", "A value must be bytes, or what JSON can express");
  }
  return json;
}

function decode<T>(value: Value): T {
  return (typeof value === "string" ? JSON.parse(value) : value) as T;
}

const encoder = new TextEncoder();

function bytesOf(stored: string | Uint8Array): number {
  return typeof stored === "string" ? encoder.encode(stored).length : stored.length;
}
