/** The commands that clients may send. */
export interface CommandOptions {
  readonly typing: boolean;
  readonly privateMessages: boolean;
}

/** What a client has sent. */
export type Input =
  | { readonly type: "message" }
  | { readonly type: "typing" }
  | { readonly type: "private"; readonly to: string; readonly content: string }
  | { readonly type: "invalid"; readonly hint: string };

const PRIVATE = /^\/msg\s+(?:"(?<quoted>[^"]+)"|(?<name>\S+))\s+(?<content>\S[^]*)$/;

/** Parses commands. Every other text is a message. */
export function parseInput(text: string, { typing, privateMessages }: CommandOptions): Input {
  if (typing && text === "/typing") return { type: "typing" };
  if (!privateMessages || !/^\/msg(\s|$)/.test(text)) return { type: "message" };
  const { quoted, name, content } = text.match(PRIVATE)?.groups ?? {};
  const to = quoted ?? name;
  if (to === undefined || content === undefined) {
    return { type: "invalid", hint: 'Write /msg Bob hello, or /msg "Mary Ann" hello' };
  }
  return { type: "private", to, content };
}
