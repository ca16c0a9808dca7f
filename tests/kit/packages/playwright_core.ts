export * from "npm:playwright-core@1.64.1";
