/**
 * Rooms, and who is in them.
 *
 * @module
 */

import { type Connection, PlugboardError } from "../../../core/mod.ts";
import type { KeyValueStore } from "../../shared/key_value_store.ts";
import { roomNameErrors, sameName } from "./names.ts";

/** A room as the REST side shows it. */
export interface ChatRoom {
  /** What stands in paths: eight characters, or `general`. */
  readonly id: string;
  /** What people see. */
  readonly name: string;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Connections on this node. */
  readonly activeUsers: number;
}

/** Keeps rooms by id across restarts. */
export type RoomStore = Pick<KeyValueStore, "load" | "set">;

/** Somebody in a room. */
export interface Seat {
  readonly conn: Connection;
  readonly roomId: string;
  readonly username: string;
}

/** Why somebody cannot come in. */
export type NoEntry = "not_found" | "full" | "name_taken";

/** Options of {@linkcode roomManager}. */
export interface RoomOptions {
  readonly store: RoomStore | undefined;
  readonly maxRooms: number;
  readonly maxUsersPerRoom: number;
  readonly uniqueNames: boolean;
  readonly now: () => number;
}

/** Manages rooms. */
export interface ChatRoomManager {
  /** Reads the rooms that were kept, and makes the first one. */
  loadRooms(): Promise<void>;
  /** All rooms, by name. */
  getAllRooms(): ChatRoom[];
  getRoom(roomId: string): ChatRoom | undefined;
  /** What is wrong with the name of a new room. */
  validateRoomName(name: unknown): string[];
  /** Makes a room; its name must be valid. Resolves when it is kept. */
  createRoom(name: string): Promise<ChatRoom>;
  /** Puts somebody into a room; gives the reason if that cannot be. */
  enterRoom(seat: Seat): NoEntry | undefined;
  /** Takes somebody out; `false` if they were not in. */
  leaveRoom(seat: Seat): boolean;
  /** Who is in a room. */
  getRoomClients(roomId: string): ReadonlySet<Seat>;
}

/** What is kept of a room. */
type Kept = Pick<ChatRoom, "name" | "createdAt">;

interface Room extends Kept {
  readonly id: string;
  readonly seats: Set<Seat>;
}

/** The room that is always there. */
const FIRST = { id: "general", name: "General Chat" };

const NOBODY: ReadonlySet<Seat> = new Set();

/** Makes a manager. */
export function roomManager(options: RoomOptions): ChatRoomManager {
  const { store, maxRooms, maxUsersPerRoom, uniqueNames, now } = options;
  const rooms = new Map<string, Room>();

  function describe({ id, name, createdAt, seats }: Room): ChatRoom {
    return { id, name, createdAt, activeUsers: seats.size };
  }

  async function add(id: string, name: string): Promise<Room> {
    const room: Room = { id, name, createdAt: new Date(now()).toISOString(), seats: new Set() };
    rooms.set(id, room); // at once: its name is taken from now on
    try {
      await store?.set(id, JSON.stringify({ name, createdAt: room.createdAt } satisfies Kept));
    } catch (error) {
      rooms.delete(id);
      throw error;
    }
    return room;
  }

  function newId(): string {
    const id = crypto.randomUUID().slice(0, 8);
    return rooms.has(id) ? newId() : id;
  }

  return {
    async loadRooms() {
      for (const [id, value] of await store?.load() ?? []) {
        rooms.set(id, { id, ...JSON.parse(value) as Kept, seats: new Set() });
      }
      if (!rooms.has(FIRST.id)) await add(FIRST.id, FIRST.name);
    },

    getAllRooms() {
      return Array.from(rooms.values(), describe).sort((a, b) => a.name.localeCompare(b.name));
    },

    getRoom(roomId) {
      const room = rooms.get(roomId);
      return room && describe(room);
    },

    validateRoomName(name) {
      const errors = roomNameErrors(name);
      if (errors.length > 0) return errors;
      for (const room of rooms.values()) {
        if (sameName(room.name, name as string)) return ["Room name already exists"];
      }
      return [];
    },

    async createRoom(name) {
      if (rooms.size >= maxRooms) throw new PlugboardError("too_many_rooms", "There are too many rooms");
      return describe(await add(newId(), name.trim()));
    },

    enterRoom(seat) {
      const room = rooms.get(seat.roomId);
      if (room === undefined) return "not_found";
      if (room.seats.size >= maxUsersPerRoom) return "full";
      const taken = (other: Seat) => sameName(other.username, seat.username);
      if (uniqueNames && [...room.seats].some(taken)) return "name_taken";
      room.seats.add(seat);
    },

    leaveRoom: (seat) => rooms.get(seat.roomId)?.seats.delete(seat) === true,
    getRoomClients: (roomId) => rooms.get(roomId)?.seats ?? NOBODY,
  };
}
