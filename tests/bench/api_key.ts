/** The key of the HTTP APIs. A file of its own, so that contenders load no more than they need. */
export const API_KEY = "k".repeat(32);
