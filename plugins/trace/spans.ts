import { type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { type App, messageOf } from "../../core/mod.ts";
import type { ChannelExtension, Publishing } from "../channels.ts";
import type { PlainWriter } from "../shared/plain.ts";
import type { Around } from "./calls.ts";

/** Milliseconds after which an unconfirmed publication counts as failed. */
const CONFIRM_MS = 30_000;
const MAX_PENDING = 10_000;

/**
 * Creates OpenTelemetry spans of upgrades, publications and traced calls. With `OTEL_DENO=true` the runtime exports them.
 * It reads the W3C trace context from the headers of each request and keeps it for the messages of an upgraded
 * connection. Otherwise these calls do nothing.
 */
export function createSpans(writer: PlainWriter) {
  const tracer = trace.getTracer("plugboard");
  /** In order of their start. */
  const pending = new Map<Publishing, Span>();

  function end(span: Span, failure?: string): void {
    if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
    span.end();
  }

  /** Ends the spans of publications that were refused or not confirmed in time. */
  function sweep(): void {
    const expired = performance.now() - CONFIRM_MS;
    for (const [publishing, span] of pending) {
      if (publishing.startedAt > expired && pending.size <= MAX_PENDING) break;
      pending.delete(publishing);
      end(span, "refused, or not confirmed");
    }
  }

  /** Wraps a traced call in a span. */
  const around: Around = ({ service, method, args }, work) => {
    const attributes = { "plugboard.args": writer.json(args) };
    return tracer.startActiveSpan(`${service}.${method}`, { attributes }, (span) => {
      const failed = (error: unknown) => end(span, writer.text(messageOf(error)));
      try {
        const result = work();
        if (result instanceof Promise) result.then(() => end(span), failed);
        else end(span);
        return result;
      } catch (error) {
        failed(error);
        throw error;
      }
    });
  };

  const extension: ChannelExtension = {
    name: "trace",
    beforePublish(publishing) {
      const { channel, draft, client } = publishing;
      const attributes = {
        "messaging.destination.name": channel,
        "messaging.message.body.size": draft.payload.byteLength,
        ...(client && { "plugboard.client": client.id }),
      };
      pending.set(
        publishing,
        tracer.startSpan(`publish ${channel}`, { kind: SpanKind.PRODUCER, attributes }),
      );
      if (pending.size > MAX_PENDING) sweep();
    },
    published(publishing, { offset, receivers }) {
      const span = pending.get(publishing);
      if (span === undefined) return;
      pending.delete(publishing);
      end(span.setAttributes({ "plugboard.offset": offset, "plugboard.receivers": receivers }));
    },
  };

  /** Creates a span per upgrade. Must be called before the endpoints are added. */
  function addRoutes(app: App): void {
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
  }

  return { sweep, around, extension, addRoutes };
}
