import { createPublicKey, type KeyObject } from "node:crypto";
import { errors, type JWTHeaderParameters, type JWTPayload, jwtVerify, type JWTVerifyOptions } from "jose";
import { checkOptions, type Clock, type Log, messageOf, PlugboardError } from "../../core/mod.ts";
import { type JwksOptions, remoteKeys } from "./jwks.ts";

/** Algorithms that tokens may be signed with. */
export type Algorithm = `${"HS" | "RS" | "PS" | "ES"}${256 | 384 | 512}` | "EdDSA" | "Ed25519";

/** How tokens are verified. At least one source of keys is required. */
export interface JwtOptions {
  /** The secret shared with the issuer (HS256 …), at least 32 bytes; several during a rotation. */
  secret?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  /** Public keys of the issuer (RS, PS, ES, EdDSA), in PEM. */
  publicKey?: string | readonly string[];
  /** The URL of an identity provider's keys. */
  jwks?: string | JwksOptions | undefined;
  /** Accepted algorithms. @default {all that the keys can verify} */
  algorithms?: readonly Algorithm[];
  /** The accepted issuers (`iss`). @default {any} */
  issuer?: string | readonly string[];
  /** The accepted audiences (`aud`). @default {any} */
  audience?: string | readonly string[];
  /** The accepted difference between the clocks. @default {5000} @minimum 0 */
  clockToleranceMs?: number;
  /** Longer tokens are refused unread, in characters. @default {8192} */
  maxTokenLength?: number;
}

/** Verifies tokens. */
export interface Tokens {
  start(clock: Clock, log: Log): void;
  stop(): void;
  /** Returns the token's claims; rejects with `invalid_token`, `token_expired` or `unavailable`. */
  verify(token: string, now: number): Promise<JWTPayload>;
}

type Key = CryptoKey | KeyObject;

const HASHES = { HS256: "SHA-256", HS384: "SHA-384", HS512: "SHA-512" } as const;
const RSA: readonly Algorithm[] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const CURVES: Readonly<Record<string, readonly Algorithm[]>> = {
  prime256v1: ["ES256"],
  secp384r1: ["ES384"],
  secp521r1: ["ES512"],
};
const EDWARDS: readonly Algorithm[] = ["EdDSA", "Ed25519"];
const PUBLIC: readonly Algorithm[] = [...RSA, "ES256", "ES384", "ES512", ...EDWARDS];

/** RFC 7518: an HMAC key must be as long as its hash. A shorter one can be guessed from one token. */
const MIN_SECRET_BYTES = 32;

/**
 * Verifies tokens (JWTs) with secrets, public keys and keys that an identity provider publishes.
 *
 * The source of a key decides which algorithms it verifies, never the token: a secret verifies only HMAC, a public key
 * only algorithms of its own type. So a token cannot pass off a public key as a secret.
 */
export function tokenVerifier(options: JwtOptions): Tokens {
  const { algorithms, issuer, audience, clockToleranceMs = 5_000, maxTokenLength = 8_192 } = options;
  const guard = checkOptions("auth");
  guard.wholeNumber("jwt.clockToleranceMs", clockToleranceMs);
  guard.positiveInteger("jwt.maxTokenLength", maxTokenLength);
  for (const each of algorithms ?? []) {
    guard.oneOf("jwt.algorithms", each, [...Object.keys(HASHES), ...PUBLIC]);
  }

  const secrets = secretsOf(options.secret);
  const publicKeys = [options.publicKey ?? []].flat().map(publicKeyOf);
  const jwks = typeof options.jwks === "string" ? { url: options.jwks } : options.jwks;
  const remote = jwks && remoteKeys(jwks);
  const given = secrets.length > 0 || publicKeys.length > 0 || remote !== undefined;
  guard.that(given, "jwt", "given a secret, a publicKey or a jwks", "none of them");

  const rules: JWTVerifyOptions = {
    algorithms: [...(algorithms ?? [...Object.keys(HASHES), ...PUBLIC])],
    clockTolerance: clockToleranceMs / 1000,
    ...(issuer !== undefined && { issuer: [issuer].flat() }),
    ...(audience !== undefined && { audience: [audience].flat() }),
  };
  const hmacKeys = new Map<string, Promise<CryptoKey[]>>();

  /** Returns the candidate keys. The algorithm is an accepted one. */
  async function keysFor(header: JWTHeaderParameters): Promise<Key[]> {
    const alg = header.alg as Algorithm;
    if (isHmac(alg)) {
      return await hmacKeys.getOrInsertComputed(alg, () => importSecrets(secrets, alg));
    }
    const local = publicKeys.filter((each) => each.algorithms.includes(alg)).map(({ key }) => key);
    return remote === undefined ? local : [...local, ...await remote.keysFor(header)];
  }

  async function verifyWithAny(token: string, now: number): Promise<JWTPayload> {
    const options = { ...rules, currentDate: new Date(now) };
    let others: Key[] = [];
    const firstKey = async (header: JWTHeaderParameters) => {
      const [first, ...rest] = await keysFor(header);
      if (first === undefined) throw new Error(`no key for the algorithm ${header.alg}`);
      others = rest;
      return first;
    };
    try {
      return (await jwtVerify(token, firstKey, options)).payload;
    } catch (error) {
      return await verifyWithOthers(token, others, options, error);
    }
  }

  return {
    start(clock, log) {
      if (secrets.some((secret) => secret.length < MIN_SECRET_BYTES)) {
        log.warn(`the secret has fewer than ${MIN_SECRET_BYTES} bytes and can be guessed; use a longer one`);
      }
      remote?.start(clock, log);
    },
    stop: () => remote?.stop(),
    async verify(token, now) {
      if (token.length > maxTokenLength) throw invalid(new Error(`more than ${maxTokenLength} characters`));
      try {
        return await verifyWithAny(token, now);
      } catch (error) {
        if (error instanceof PlugboardError) throw error;
        if (error instanceof errors.JWTExpired) throw outOfTime("Token expired", error);
        if (isEarly(error)) throw outOfTime("Token not valid yet", error);
        throw invalid(error);
      }
    },
  };
}

/** Tries the other keys: a secret is being rotated, or the token names no key. */
async function verifyWithOthers(
  token: string,
  keys: readonly Key[],
  options: JWTVerifyOptions,
  error: unknown,
): Promise<JWTPayload> {
  for (const key of keys) {
    if (!(error instanceof errors.JWSSignatureVerificationFailed)) break;
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (next) {
      error = next;
    }
  }
  throw error;
}

function isHmac(alg: Algorithm): alg is keyof typeof HASHES {
  return alg in HASHES;
}

function isEarly(error: unknown): boolean {
  return error instanceof errors.JWTClaimValidationFailed && error.claim === "nbf" &&
    error.reason === "check_failed";
}

/** The SDKs fetch another token then, and try again. */
function outOfTime(message: string, cause: unknown): PlugboardError {
  return new PlugboardError("token_expired", message, { cause });
}

function invalid(cause: unknown): PlugboardError {
  return new PlugboardError("invalid_token", "Invalid token", { cause });
}

function secretsOf(given: JwtOptions["secret"]): Uint8Array<ArrayBuffer>[] {
  if (given === undefined) return [];
  const list = typeof given === "string" || given instanceof Uint8Array ? [given] : given;
  return list.map((secret) => {
    const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : new Uint8Array(secret);
    checkOptions("auth").that(bytes.length > 0, "jwt.secret", "a non-empty secret", "an empty one");
    return bytes;
  });
}

function importSecrets(
  secrets: readonly Uint8Array<ArrayBuffer>[],
  alg: keyof typeof HASHES,
): Promise<CryptoKey[]> {
  const algorithm = { name: "HMAC", hash: HASHES[alg] };
  return Promise.all(
    secrets.map((bytes) => crypto.subtle.importKey("raw", bytes, algorithm, false, ["verify"])),
  );
}

function publicKeyOf(pem: string): { key: KeyObject; algorithms: readonly Algorithm[] } {
  const refuse = (rule: string, got: string) => checkOptions("auth").that(false, "jwt.publicKey", rule, got);
  if (pem.includes("PRIVATE KEY")) {
    refuse("a public key; the private key belongs to the issuer", "a private key");
  }
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (error) {
    throw new PlugboardError(
      "bad_option",
      `Cannot start auth: "jwt.publicKey" is not PEM: ${messageOf(error)}`,
    );
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const algorithms = type === "rsa"
    ? RSA
    : type === "ed25519"
    ? EDWARDS
    : type === "ec"
    ? CURVES[details?.namedCurve ?? ""]
    : undefined;
  if (algorithms === undefined) refuse("an RSA, P-256, P-384, P-521 or Ed25519 key", String(type));
  return { key, algorithms: algorithms! };
}
