/**
 * The tables of plugins in the app's database. They hold secrets, sessions and messages of all users, so clients do not
 * see them.
 *
 * @module
 */

/** Matches their names, and those of SQLite's own tables. */
export const OWN_TABLES =
  /^(sqlite_|plugboard_|paths_|home_|tinybase_parts$|channel_(logs|publications|tail|epoch)$)/i;
