/**
 * The same through OpenTelemetry: spans of upgrades, publications and traced calls.
 *
 * The runtime does the rest when it was started with `OTEL_DENO=true`: it exports, takes the W3C context from the
 * headers of each request, and keeps it for what follows, also for the messages of a connection after its upgrade.
 * Without that, all of it does nothing.
 *
 * @module
 */

import { type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { type App, type Clock, messageOf } from "../../core/mod.ts";
import type { ChannelExtension, Draft } from "../channels.ts";
import type { Around } from "./calls.ts";
import type { PlainWriter } from "./plain.ts";

/** A publication that is not confirmed after this time never will be. */
const CONFIRM_MS = 30_000;
const MAX_PENDING = 10_000;

/** Makes spans. */
export interface Spans {
  /** Around a traced call. */
  readonly around: Around;
  /** For the channels. */
  readonly extension: ChannelExtension;
  /** A span for each upgrade; has to be added before the endpoints. */
  addRoutes(app: App): void;
  /** Ends the spans of publications that were never confirmed. */
  sweep(): void;
}

/** Begins to make spans. */
export function makeSpans(writer: PlainWriter, clock: () => Clock): Spans {
  const tracer = trace.getTracer("plugboard");
  /** The oldest first. */
  const pending = new Map<Draft, { span: Span; since: number }>();

  function abandon(draft: Draft, span: Span): void {
    pending.delete(draft);
    span.setStatus({ code: SpanStatusCode.ERROR, message: "refused, or not confirmed" });
    span.end();
  }

  function sweep(): void {
    const due = clock().now() - CONFIRM_MS;
    for (const [draft, { span, since }] of pending) {
      if (since > due && pending.size <= MAX_PENDING) break;
      abandon(draft, span);
    }
  }

  return {
    sweep,

    around: ({ service, method, args }, work) =>
      tracer.startActiveSpan(
        `${service}.${method}`,
        { attributes: { "plugboard.args": writer.json(args) } },
        (span) => {
          const failed = (error: unknown) => {
            span.setStatus({ code: SpanStatusCode.ERROR, message: writer.text(messageOf(error)) });
            span.end();
          };
          try {
            const result = work();
            if (result instanceof Promise) result.then(() => span.end(), failed);
            else span.end();
            return result;
          } catch (error) {
            failed(error);
            throw error;
          }
        },
      ),

    extension: {
      name: "trace",
      beforePublish(channel, draft, client) {
        const attributes = {
          "messaging.destination.name": channel,
          "messaging.message.body.size": draft.json.length,
          ...(client && { "plugboard.client": client.id }),
        };
        const span = tracer.startSpan(`publish ${channel}`, { kind: SpanKind.PRODUCER, attributes });
        pending.set(draft, { span, since: clock().now() });
        if (pending.size > MAX_PENDING) sweep();
      },
      published(_, draft, { offset, receivers }) {
        const entry = pending.get(draft);
        if (entry === undefined) return;
        pending.delete(draft);
        entry.span.setAttributes({ "plugboard.offset": offset, "plugboard.receivers": receivers });
        entry.span.end();
      },
    },

    addRoutes(app) {
      app.use(async (c, next) => {
        if (c.req.header("upgrade")?.toLowerCase() !== "websocket") return await next();
        const attributes = { "url.path": c.req.path, "client.address": c.env.ip };
        await tracer.startActiveSpan(`upgrade ${c.req.path}`, { attributes }, async (span) => {
          await next();
          span.setAttribute("http.response.status_code", c.res.status);
          if (c.res.status >= 400) span.setStatus({ code: SpanStatusCode.ERROR });
          span.end();
        });
      });
    },
  };
}
