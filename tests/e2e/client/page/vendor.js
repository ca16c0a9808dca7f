// React and the SDK as one module, so that the page and the hooks of the server share one React.
export { createElement, StrictMode, useMemo, useState, useSyncExternalStore } from "npm:react@19.3.1";
export { createRoot } from "npm:react-dom@19.3.1/client";
export { Centrifuge } from "centrifuge";
