/** A text area that several people edit at the same time. Yjs merges their changes. */

import * as Y from "yjs";

const RETRY_MS = 1_000;

/**
 * Connects a text area with the document of the server. `call(method, value)` calls a method there. Returns `sync`, which
 * exchanges with the server what the other side lacks, and `apply`, which takes a change of another client. `report` is
 * called with the reason if the server refuses a change, and with an empty text when it has accepted all.
 */
export function sharedDocument(area, call, report = () => {}) {
  const doc = new Y.Doc();
  const text = doc.getText();
  const undo = new Y.UndoManager(text);
  let unsent = [], sending = false;
  /** Changes of others that wait until the user has composed a letter, for example a Chinese one. */
  let composing = false;
  const waiting = [];

  doc.on("update", (update, origin) => {
    if (origin === "server") return;
    unsent.push(update);
    send();
  });

  /** Sends one change at a time. What is typed meanwhile goes with the next. */
  async function send() {
    if (sending || unsent.length === 0) return;
    sending = true;
    const update = Y.mergeUpdates(unsent);
    unsent = [];
    try {
      await call("document.edit", update.toBase64());
      report("");
    } catch ({ number, message }) {
      if (number >= 400) report(message);
      unsent.unshift(update);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    sending = false;
    send();
  }

  async function sync() {
    try {
      const { update, vector } = await call("document.sync", Y.encodeStateVector(doc).toBase64());
      apply(update);
      unsent.push(Y.encodeStateAsUpdate(doc, Uint8Array.fromBase64(vector)));
      send();
    } catch {
      setTimeout(sync, RETRY_MS);
    }
  }

  function apply(update) {
    if (composing) return void waiting.push(update);
    Y.applyUpdate(doc, Uint8Array.fromBase64(update), "server");
  }

  // Shows changes of others, and of undo. The selection stays at its letters, wherever these are now.
  let selection = [];
  doc.on("beforeTransaction", () => {
    selection = [area.selectionStart, area.selectionEnd].map((place) =>
      Y.createRelativePositionFromTypeIndex(text, place)
    );
  });
  text.observe(() => {
    if (area.value === text.toString()) return;
    area.value = text.toString();
    const places = selection.map((place) => Y.createAbsolutePositionFromRelativePosition(place, doc)?.index);
    area.setSelectionRange(...places);
  });

  function typed() {
    if (composing) return;
    const { start, removed, inserted } = difference(text.toString(), area.value, area.selectionEnd);
    doc.transact(() => {
      text.delete(start, removed);
      text.insert(start, inserted);
    });
  }
  area.addEventListener("input", typed);
  area.addEventListener("compositionstart", () => composing = true);
  area.addEventListener("compositionend", () => {
    composing = false;
    typed();
    waiting.splice(0).forEach(apply);
  });
  area.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    event.shiftKey ? undo.redo() : undo.undo();
  });

  return { sync, apply };
}

/** Returns the change from one text to another that was typed before the caret. */
function difference(before, after, caret) {
  const shorter = Math.min(before.length, after.length);
  let end = 0;
  while (end < Math.min(shorter, after.length - caret) && before.at(-1 - end) === after.at(-1 - end)) end++;
  let start = 0;
  while (start < shorter - end && before[start] === after[start]) start++;
  // An emoji has two halves, which stay together.
  if (/[\uD800-\uDBFF]/.test(before[start - 1] ?? "")) start--;
  if (/[\uDC00-\uDFFF]/.test(before.at(-end) ?? "") && end > 0) end--;
  return {
    start,
    removed: before.length - end - start,
    inserted: after.slice(start, after.length - end),
  };
}
