import { type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { type App, messageOf } from "../../core/mod.ts";
import type { ChannelExtension, Publishing } from "../channels.ts";
import type { Around } from "./calls.ts";
import type { PlainWriter } from "../shared/plain.ts";

/** Milliseconds after which an unconfirmed publication counts as failed. */
const CONFIRM_MS = 30_000;
const MAX_PENDING = 10_000;

/** Creates spans. */
export interface Spans {
  /** Wraps a traced call in a span. */
  readonly around: Around;
  /** Creates a span per publication. */
  readonly extension: ChannelExtension;
  /** Creates a span per upgrade. Must be added before the endpoints. */
  addRoutes(app: App): void;
  /** Ends the spans of publications that were not confirmed in time. */
  sweep(): void;
}

/**
 * Creates the hooks that create OpenTelemetry spans of upgrades, publications and traced calls.
 *
 * With `OTEL_DENO=true` the runtime exports the spans. It reads the W3C trace context from the headers of each request
 * and keeps it for the messages of an upgraded connection. Otherwise these calls do nothing.
 */
export function createSpans(writer: PlainWriter): Spans {
  const tracer = trace.getTracer("plugboard");
  /** In order of their start. */
  const pending = new Map<Publishing, Span>();

  function sweep(): void {
    const expired = performance.now() - CONFIRM_MS;
    for (const [publishing, span] of pending) {
      if (publishing.startedAt > expired && pending.size <= MAX_PENDING) break;
      pending.delete(publishing);
      span.setStatus({ code: SpanStatusCode.ERROR, message: "refused, or not confirmed" });
      span.end();
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
      beforePublish(publishing) {
        const { channel, draft, client } = publishing;
        const attributes = {
          "messaging.destination.name": channel,
          "messaging.message.body.size": draft.payload.byteLength,
          ...(client && { "plugboard.client": client.id }),
        };
        const span = tracer.startSpan(`publish ${channel}`, { kind: SpanKind.PRODUCER, attributes });
        pending.set(publishing, span);
        if (pending.size > MAX_PENDING) sweep();
      },
      published(publishing, { offset, receivers }) {
        const span = pending.get(publishing);
        if (span === undefined) return;
        pending.delete(publishing);
        span.setAttributes({ "plugboard.offset": offset, "plugboard.receivers": receivers });
        span.end();
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
