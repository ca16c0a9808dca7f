export { createElement, StrictMode, useMemo, useState, useSyncExternalStore } from "react";
export { createRoot } from "react-dom/client";
