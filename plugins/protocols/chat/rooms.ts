import { type Connection, type MaybePromise, PlugboardError } from "../../../core/mod.ts";
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
export type RoomStore = KeyValueStore;

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
  /** Creates a room with a valid name. Resolves when it is stored. The rooms of the app have no creator. */
  createRoom(name: string, creator?: string): Promise<ChatRoom>;
  /** Whether a client has created a room. */
  isCreator(roomId: string, creator: string): boolean;
  /** Removes a room and returns its members; `undefined` if there is no such room, or it is the first one. */
  deleteRoom(roomId: string): Promise<readonly Member[] | undefined>;
  /** Removes the rooms of clients that have been empty for too long. */
  expireRooms(): Promise<void>;
  /** Adds a member to its room; returns the reason if it cannot enter. */
  enterRoom(member: Member): Refusal | undefined;
  /** Removes a member from its room; `false` if it is not there. */
  leaveRoom(member: Member): boolean;
  /** Returns the members of a room. */
  getRoomClients(roomId: string): ReadonlySet<Member>;
}

interface StoredRoom extends Pick<ChatRoom, "name" | "createdAt"> {
  /** The client that created it; absent for a room of the app. */
  readonly creator?: string;
}

interface Room extends StoredRoom {
  readonly id: string;
  readonly members: Set<Member>;
  /** When it was empty last, in milliseconds since 1970. */
  emptySince: number;
}

/** The room that always exists. */
const FIRST = { id: "general", name: "General Chat" };

/** Makes a manager. */
export function roomManager(
  { store, maxRooms, maxRoomsPerClient, emptyRoomMs, maxUsersPerRoom, uniqueNames, now, removed }: {
    store: RoomStore | undefined;
    maxRooms: number;
    maxRoomsPerClient: number;
    emptyRoomMs: number;
    maxUsersPerRoom: number;
    uniqueNames: boolean;
    now: () => number;
    /** Called when a room was removed. */
    removed: (roomId: string) => MaybePromise<void>;
  },
): ChatRoomManager {
  const rooms = new Map<string, Room>();

  function describe({ id, name, createdAt, members }: Room): ChatRoom {
    return { id, name, createdAt, activeUsers: members.size };
  }

  async function add(id: string, name: string, creator?: string): Promise<Room> {
    const createdAt = new Date(now()).toISOString();
    const stored: StoredRoom = { name, createdAt, ...(creator !== undefined && { creator }) };
    const room: Room = { ...stored, id, members: new Set(), emptySince: now() };
    // Addresses of clients are not stored.
    const kept = creator?.startsWith("network") ? { ...stored, creator: "network" } : stored;
    rooms.set(id, room); // before it is stored, so that its name is taken
    try {
      await store?.set(id, JSON.stringify(kept));
    } catch (error) {
      rooms.delete(id);
      throw error;
    }
    return room;
  }

  async function remove({ id, members }: Room): Promise<readonly Member[]> {
    rooms.delete(id);
    await store?.delete(id);
    await removed(id);
    return [...members];
  }

  function newId(): string {
    const id = crypto.randomUUID().slice(0, 8);
    return rooms.has(id) ? newId() : id;
  }

  return {
    async loadRooms() {
      for (const [id, value] of await store?.load() ?? []) {
        rooms.set(id, { id, ...JSON.parse(value) as StoredRoom, members: new Set(), emptySince: now() });
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

    async createRoom(name, creator) {
      if (rooms.size >= maxRooms) throw new PlugboardError("too_many_rooms", "There are too many rooms");
      const own = [...rooms.values()].filter((room) => creator !== undefined && room.creator === creator);
      if (own.length >= maxRoomsPerClient) {
        throw new PlugboardError("too_many_rooms", "You have created too many rooms");
      }
      return describe(await add(newId(), name.trim(), creator));
    },

    isCreator: (roomId, creator) => rooms.get(roomId)?.creator === creator,

    async deleteRoom(roomId) {
      const room = rooms.get(roomId);
      return room === undefined || roomId === FIRST.id ? undefined : await remove(room);
    },

    async expireRooms() {
      const due = now() - emptyRoomMs;
      for (const room of rooms.values()) {
        const { creator, members, emptySince } = room;
        if (creator !== undefined && members.size === 0 && emptySince <= due) await remove(room);
      }
    },

    enterRoom(member) {
      const room = rooms.get(member.roomId);
      if (room === undefined) return "not_found";
      if (room.members.size >= maxUsersPerRoom) return "full";
      const taken = (other: Member) => sameName(other.username, member.username);
      if (uniqueNames && [...room.members].some(taken)) return "name_taken";
      room.members.add(member);
    },

    leaveRoom(member) {
      const room = rooms.get(member.roomId);
      if (room?.members.delete(member) !== true) return false;
      room.emptySince = now();
      return true;
    },

    getRoomClients: (roomId) => rooms.get(roomId)?.members ?? new Set(),
  };
}
