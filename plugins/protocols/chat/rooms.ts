import { type Connection, PlugboardError } from "../../../core/mod.ts";
import type { KeyValueStore } from "../../shared/key_value_store.ts";
import { roomNameErrors, sameName } from "./names.ts";

/** A room in the REST API. */
export interface ChatRoom {
  /** The id in paths: eight characters, or `general`. */
  readonly id: string;
  /** The name that people see. */
  readonly name: string;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Connections on this node. */
  readonly activeUsers: number;
}

/** Keeps rooms by id across restarts. */
export type RoomStore = Pick<KeyValueStore, "load" | "set">;

/** A client in a room. */
export interface Member {
  readonly conn: Connection;
  readonly roomId: string;
  readonly username: string;
}

/** Why a client cannot enter. */
export type Refusal = "not_found" | "full" | "name_taken";

/** Manages rooms and their members. */
export interface ChatRoomManager {
  /** Loads the stored rooms, and creates the first one. */
  loadRooms(): Promise<void>;
  /** Returns all rooms, by name. */
  getAllRooms(): ChatRoom[];
  getRoom(roomId: string): ChatRoom | undefined;
  /** Returns what is wrong with the name of a new room. */
  validateRoomName(name: unknown): string[];
  /** Creates a room with a valid name. Resolves when it is stored. */
  createRoom(name: string): Promise<ChatRoom>;
  /** Adds a member to its room; returns the reason if it cannot enter. */
  enterRoom(member: Member): Refusal | undefined;
  /** Removes a member from its room; `false` if it is not there. */
  leaveRoom(member: Member): boolean;
  /** Returns the members of a room. */
  getRoomClients(roomId: string): ReadonlySet<Member>;
}

type StoredRoom = Pick<ChatRoom, "name" | "createdAt">;

interface Room extends StoredRoom {
  readonly id: string;
  readonly members: Set<Member>;
}

/** The room that always exists. */
const FIRST = { id: "general", name: "General Chat" };

/** Makes a manager. */
export function roomManager({ store, maxRooms, maxUsersPerRoom, uniqueNames, now }: {
  store: RoomStore | undefined;
  maxRooms: number;
  maxUsersPerRoom: number;
  uniqueNames: boolean;
  now: () => number;
}): ChatRoomManager {
  const rooms = new Map<string, Room>();

  function describe({ id, name, createdAt, members }: Room): ChatRoom {
    return { id, name, createdAt, activeUsers: members.size };
  }

  async function add(id: string, name: string): Promise<Room> {
    const room: Room = { id, name, createdAt: new Date(now()).toISOString(), members: new Set() };
    rooms.set(id, room); // before it is stored, so that its name is taken
    try {
      await store?.set(id, JSON.stringify({ name, createdAt: room.createdAt } satisfies StoredRoom));
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
        rooms.set(id, { id, ...JSON.parse(value) as StoredRoom, members: new Set() });
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

    enterRoom(member) {
      const room = rooms.get(member.roomId);
      if (room === undefined) return "not_found";
      if (room.members.size >= maxUsersPerRoom) return "full";
      const taken = (other: Member) => sameName(other.username, member.username);
      if (uniqueNames && [...room.members].some(taken)) return "name_taken";
      room.members.add(member);
    },

    leaveRoom: (member) => rooms.get(member.roomId)?.members.delete(member) === true,
    getRoomClients: (roomId) => rooms.get(roomId)?.members ?? new Set(),
  };
}
