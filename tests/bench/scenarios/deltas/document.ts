const PARAGRAPH = "The quick brown fox jumps over the lazy dog, and then it has some rest. ";

/** A JSON document of 2 KB, of which one field changes. */
export function document(n: number): object {
  return {
    title: "A document",
    authors: ["Ann", "Bob"],
    first: PARAGRAPH.repeat(13),
    revision: n,
    rest: PARAGRAPH.repeat(13),
  };
}
