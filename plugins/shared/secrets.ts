/**
 * Finds secrets in logs and traces: by the names of fields, and by patterns within texts.
 *
 * @module
 */

/** Replaces a secret. */
export const REDACTED = "[redacted]";

/** Finds secrets. */
export interface Secrets {
  /** Whether a field with this name holds a secret. */
  named(name: string): boolean;
  /** Returns the text without secrets. */
  removedFrom(text: string): string;
}

type Rule = readonly [pattern: RegExp, replacement: string];

const NAMES = [
  "pass(?:word|wd|phrase|code)",
  "pwd",
  "secret",
  "token",
  "authorization",
  "cookie",
  "api[-_ ]?key",
  "private[-_ ]?key",
  "credential",
  "signature",
];

/** Secrets that are recognized without a name, and headers whose whole line is secret. */
const SHAPES: readonly Rule[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?!-----END)[^])*(?:-----END [A-Z ]*PRIVATE KEY-----)?/g, REDACTED],
  // A JSON Web Token or its beginning: `eyJ` is base64 for `{"`.
  [/\beyJ[\w-]{8,}(?:\.[\w-]*)*/g, REDACTED],
  [/\b(Bearer|Basic) +[\w.~+/-]{8,}=*/gi, `$1 ${REDACTED}`],
  // A password in a URL: redis://user:password@host.
  [/(:\/\/[^\s:@/]{0,256}:)[^\s@/]+(?=@)/g, `$1${REDACTED}`],
  [/\b((?:set-)?cookie|authorization)(["']?: *["']?)[^"'\r\n]+/gi, `$1$2${REDACTED}`],
];

/** What every secret contains. Most texts contain nothing of it, so that one search is enough. */
const HINTS = ["-----BEGIN", "eyJ", "Bearer ", "Basic ", "://", ...NAMES];

/** Letters that are escaped in JSON or a URL, which would hide a name: `"tok\\u0065n"`, `tok%65n=`. */
const ESCAPED = /(?:\\{1,7}u00|%)(2d|3\d|[46][1-9a-f]|[57][\da]|5f)/gi;

/** Recognizes the usual names and patterns of secrets, and names that contain one of `moreNames`. */
export function findSecrets(moreNames: readonly string[] = []): Secrets {
  const names = [...NAMES, ...moreNames.map(RegExp.escape)].join("|");
  const secretName = new RegExp(names, "i");
  const hint = new RegExp([...HINTS, ...moreNames.map(RegExp.escape)].join("|"), "i");
  const rules = [...SHAPES, ...assignments(names)];
  return {
    named: (name) => secretName.test(name),
    removedFrom(text) {
      const plain = /[\\%]/.test(text) ? text.replace(ESCAPED, letter) : text;
      if (!hint.test(plain)) return text;
      return rules.reduce((rest, [pattern, replacement]) => rest.replace(pattern, replacement), plain);
    },
  };
}

function letter(_escape: string, code: string): string {
  return String.fromCharCode(parseInt(code, 16));
}

/**
 * Names with values. The quantifiers are bounded and none precedes the name, so that the time is linear in the length
 * of the text.
 */
function assignments(names: string): Rule[] {
  const name = String.raw`(?:${names})[\w-]{0,32}`;
  const quote = String.raw`(?:\\{0,3}["']|%22)`;
  // A quote after a backslash is a part of the value.
  const quoted = String.raw`(?<plain>["'])(?:\\[^]|(?!\k<plain>)[^\\])*|` +
    String.raw`(?<quote>\\{1,3}["']|%22)(?:(?!(?<!\\)\k<quote>)[^])*`;
  const text = String.raw`"(?:\\[^]|[^"\\])*"?|'(?:\\[^]|[^'\\])*'?|` +
    String.raw`\\{1,3}["'](?:(?!\\{1,3}["'])[^])*(?:\\{1,3}["'])?`;
  const inner = String.raw`[\[{](?:${text}|[^\]}])*[\]}]?`;
  const list = String.raw`[\[{](?:${text}|${inner}|[^\]}])*[\]}]?`;
  return [
    // "tokens":["…","…"], and objects.
    [new RegExp(String.raw`(${name}${quote}\s{0,3}:\s{0,3})${list}`, "gi"), `$1${REDACTED}`],
    // ["token","…"], as headers and parameters are written.
    [
      new RegExp(
        String
          .raw`(\[\s{0,3}${quote}[\w-]{0,32}?${name}${quote}\s{0,3},\s{0,3})(?:${quoted}|\d{4,})(?=${quote}?\s{0,3}(?:\]|$))`,
        "gi",
      ),
      `$1${REDACTED}`,
    ],
    // ?token=… in URLs, forms and settings; "token":"…" in JSON, which may be quoted or URL-encoded itself.
    [
      new RegExp(
        String
          .raw`(${name}${quote}?\s{0,3}(?:=|%3D|(?::|%3A)(?=\s{0,3}${quote}))\s{0,3})(?:${quoted}|[^\s&"',;}]+)`,
        "gi",
      ),
      `$1${REDACTED}`,
    ],
    // "passcode":1234 in JSON. Smaller numbers are counts or flags.
    [
      new RegExp(String.raw`(${name}${quote}\s{0,3}(?::|%3A)\s{0,3})\d{4,}`, "gi"),
      `$1${REDACTED}`,
    ],
    // token: … in prose, but not "invalid token: expired": a secret is long or contains digits.
    [
      new RegExp(String.raw`(${name}: {1,3})(?=[^\s\d,;]{0,256}\d|[^\s,;]{20})[^\s,;]+`, "gi"),
      `$1${REDACTED}`,
    ],
  ];
}
