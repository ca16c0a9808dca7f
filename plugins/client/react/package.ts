/** React, for the type check of the hooks. Apps and pages bring their own. */

// @ts-types="npm:@types/react@19.3.3"
export { useMemo, useSyncExternalStore } from "npm:react@19.3.1";
