/**
 * What a client may type beside messages, where the options allow it.
 *
 * @module
 */

/** Which commands there are. */
export interface CommandOptions {
  readonly typing: boolean;
  readonly privateMessages: boolean;
}

/** What a client typed. */
export type Input =
  | { readonly type: "message" }
  | { readonly type: "typing" }
  | { readonly type: "private"; readonly to: string; readonly content: string }
  | { readonly type: "mistake"; readonly hint: string };

const PRIVATE = /^\/msg\s+(?:"(?<quoted>[^"]+)"|(?<name>\S+))\s+(?<content>\S[^]*)$/;

/** Tells commands from messages. Without the options, everything is a message. */
export function parseInput(text: string, { typing, privateMessages }: CommandOptions): Input {
  if (typing && text === "/typing") return { type: "typing" };
  if (!privateMessages || !/^\/msg(\s|$)/.test(text)) return { type: "message" };
  const { quoted, name, content } = text.match(PRIVATE)?.groups ?? {};
  const to = quoted ?? name;
  if (to === undefined || content === undefined) {
    return { type: "mistake", hint: 'Write /msg Bob hello, or /msg "Mary Ann" hello' };
  }
  return { type: "private", to, content };
}
