/** The kinds of scalar values. */
export type Scalar = "bool" | "int32" | "int64" | "uint32" | "uint64" | "sint64" | "string" | "bytes";

/** A field of a message. */
export interface Field {
  readonly name: string;
  readonly number: number;
  /** The kind of a scalar, or the type of a nested message; of a map, the type of its entries. */
  readonly type: Scalar | MessageType;
  readonly repeated: boolean;
  /** Whether it is a map with texts as keys: on the wire, repeated entries with a `key` and a `value`. */
  readonly map: boolean;
}

/** A type of messages. */
export class MessageType {
  readonly name: string;
  readonly byName = new Map<string, Field>();
  /** Sparse. */
  readonly byNumber: Field[] = [];

  constructor(name: string) {
    this.name = name;
  }

  add(field: Field): void {
    this.byName.set(field.name, field);
    this.byNumber[field.number] = field;
  }
}

const SCALARS = new Set(["bool", "int32", "int64", "uint32", "uint64", "sint64", "string", "bytes"]);

/** Makes message types of texts with fields, such as `data:bytes=1 tags:map<string>=2 list:Item[]=3`. */
export function parseSchema<Name extends string>(texts: Record<Name, string>): Record<Name, MessageType> {
  const types = new Map(Object.keys(texts).map((name) => [name, new MessageType(name)]));
  const typeNamed = (name: string) => SCALARS.has(name) ? name as Scalar : types.get(name)!;
  for (const [name, text] of Object.entries<string>(texts)) {
    for (const [, field, map, type, list, number] of text.matchAll(/(\w+):(map<)?(\w+)>?(\[\])?=(\d+)/g)) {
      types.get(name)!.add({
        name: field!,
        number: Number(number),
        type: map === undefined ? typeNamed(type!) : entryType(typeNamed(type!)),
        repeated: list !== undefined,
        map: map !== undefined,
      });
    }
  }
  return Object.fromEntries(types) as Record<Name, MessageType>;
}

function entryType(value: Field["type"]): MessageType {
  const entry = new MessageType("entry");
  entry.add({ name: "key", number: 1, type: "string", repeated: false, map: false });
  entry.add({ name: "value", number: 2, type: value, repeated: false, map: false });
  return entry;
}
