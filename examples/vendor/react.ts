export { createElement, StrictMode, useMemo, useState, useSyncExternalStore } from "npm:react@19.3.1";
export { createRoot } from "npm:react-dom@19.3.1/client";
