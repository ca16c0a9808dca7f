/** The rooms of the team chat: who is in them, what was said, and what is unread. */

import { closeCode } from "@plugboard/server";
import type { Channels } from "@plugboard/server/channels";
import { query } from "@plugboard/server/live_queries";
import { mutation } from "@plugboard/server/mutations";
import type { Transaction } from "@plugboard/server/persistence";
import { RpcError } from "@plugboard/server/rpc";

const membershipChanged = closeCode(4001, "membership changed"); // the SDK reconnects up to 4499

const migration = `
  CREATE TABLE users (name TEXT PRIMARY KEY, salt BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
  CREATE TABLE rooms (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
  CREATE TABLE messages (
    id INTEGER PRIMARY KEY, room INTEGER NOT NULL, user TEXT NOT NULL, text TEXT NOT NULL
  ) STRICT;
  CREATE INDEX messages_by_room ON messages (room);
  -- "seen" is the last message that the member has read.
  CREATE TABLE members (
    room INTEGER NOT NULL, user TEXT NOT NULL, seen INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (room, user)
  ) STRICT;
  CREATE INDEX members_by_user ON members (user);
`;

export function rooms(bus: Channels, isMember: (user: string, room: number) => boolean) {
  const queries = {
    /** The rooms of a user, with the number of unread messages. */
    rooms: query({
      sql: `SELECT rooms.id, rooms.name, (
          SELECT count(*) FROM messages WHERE messages.room = rooms.id AND messages.id > members.seen
        ) AS unread
        FROM members JOIN rooms ON rooms.id = members.room WHERE members.user = :user ORDER BY rooms.id`,
      params: { user: "user" },
      key: ["id"],
      allow: () => true, // the type "user" takes nothing but one's own name
    }),
    messages: query({
      sql: "SELECT id, user, text FROM messages WHERE room = :room ORDER BY id DESC LIMIT 100",
      params: { room: "integer" },
      allow: ({ user }, { room }) => isMember(user, room as number),
    }),
  };

  const mutations = {
    createRoom: mutation({
      args: (value) => ({ name: textOf(value, "name", 50) }),
      run(tx, { name }, { identity: { user } }) {
        const room = Number(tx.run("INSERT INTO rooms (name) VALUES (?)", [name]).lastId);
        tx.run("INSERT INTO members (room, user) VALUES (?, ?)", [room, user]);
        return room;
      },
    }),
    invite: mutation({
      args: (value) => ({ room: roomOf(value), user: textOf(value, "user", 20) }),
      run(tx, { room, user }, { identity }) {
        checkMember(tx, room, identity.user);
        const [known] = tx.all("SELECT 1 FROM users WHERE name = ?", [user]);
        if (known === undefined) throw new RpcError(404, `There is no user ${user}`);
        tx.run("INSERT INTO members (room, user) VALUES (?, ?) ON CONFLICT DO NOTHING", [room, user]);
      },
    }),
    remove: mutation({
      args: (value) => ({ room: roomOf(value), user: textOf(value, "user", 20) }),
      run(tx, { room, user }, { identity }) {
        checkMember(tx, room, identity.user);
        tx.run("DELETE FROM members WHERE room = ? AND user = ?", [room, user]);
      },
      /** Permissions are checked when a client subscribes. It reconnects, and subscribes to what it still may read. */
      committed: async (_, { user }) => void await bus.disconnect({ user }, membershipChanged),
    }),
    say: mutation({
      args: (value) => ({ room: roomOf(value), text: textOf(value, "text", 2_000) }),
      run(tx, { room, text }, { identity: { user } }) {
        checkMember(tx, room, user);
        tx.run("INSERT INTO messages (room, user, text) VALUES (?, ?, ?)", [room, user, text]);
      },
    }),
    /** The user has read everything in a room. */
    read: mutation({
      args: (value) => ({ room: roomOf(value) }),
      run: (tx, { room }, { identity: { user } }) =>
        void tx.run(
          "UPDATE members SET seen = (SELECT coalesce(max(id), 0) FROM messages WHERE room = :room) " +
            "WHERE room = :room AND user = :user",
          { room, user },
        ),
    }),
  };

  return { migration, queries, mutations };
}

function checkMember(tx: Transaction, room: number, user: string): void {
  const [member] = tx.all("SELECT 1 FROM members WHERE room = ? AND user = ?", [room, user]);
  if (member === undefined) throw new RpcError(403, "You are not in this room");
}

function textOf(value: unknown, name: string, max: number): string {
  const given = (value as Record<string, unknown> | null)?.[name];
  const text = typeof given === "string" ? given.trim() : "";
  if (text === "" || text.length > max) throw new RpcError(400, `"${name}" must have 1 to ${max} letters`);
  return text;
}

function roomOf(value: unknown): number {
  const room = (value as { room?: unknown } | null)?.room;
  if (!Number.isSafeInteger(room)) throw new RpcError(400, `"room" must be the number of a room`);
  return room as number;
}
