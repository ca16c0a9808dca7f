export * from "npm:yjs@13.6.33";
