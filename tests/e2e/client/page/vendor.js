// React and the SDK as one module, so that the page and the hooks of the server share one React.
export { createElement, StrictMode, useMemo, useState, useSyncExternalStore } from "react";
export { createRoot } from "react-dom/client";
export { Centrifuge } from "centrifuge";
