export * from "npm:ts-json-schema-generator@2.10.0";
