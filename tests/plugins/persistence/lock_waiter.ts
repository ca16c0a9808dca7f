import { lockFor } from "../../../plugins/persistence/lock.ts";

const scope = self as unknown as { onmessage(event: MessageEvent): void; postMessage(text: string): void };

scope.onmessage = ({ data: path }) => {
  scope.postMessage("waiting");
  lockFor(path, 5_000).release();
  scope.postMessage("locked");
};
