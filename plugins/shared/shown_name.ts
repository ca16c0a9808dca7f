/** Returns a client's name for a thing as an error shows it: in quotes, and not longer than 100 characters. */
export function shownName(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
}
