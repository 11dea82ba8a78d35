/** The engine's events: those of before, and those to come. */

import type { ApiParts } from "#api/api-parts.ts";
import type { EngineEvents } from "#api/engine-face.ts";
import { type ApiRequest, moment, text } from "#api/http/api-request.ts";
import type { Sink } from "#api/http/outlet.ts";
import { type Reply, streamReply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import type { EngineEvent } from "#spec/event.ts";
import { Fault } from "#spec/fault.ts";
import { type Filters, parseFilters } from "#spec/filters.ts";
import { eventFilters, eventLine, matchesEvent } from "./event-wire.ts";

export function eventRoutes(parts: ApiParts): Route[] {
  return [route("GET", "/events", (request) => stream(parts, request))];
}

interface Span {
  readonly since: bigint | undefined;
  readonly until: bigint | undefined;
}

function stream({ engine }: ApiParts, request: ApiRequest): Reply {
  const span = {
    since: moment(request, "since"),
    until: moment(request, "until"),
  };
  if (span.since !== undefined && span.until !== undefined && span.until < span.since)
    throw new Fault(
      "invalid",
      `\`since\` time (${text(request, "since")}) cannot be after \`until\` time (${text(request, "until")})`,
    );
  const filters = parseFilters(text(request, "filters"), eventFilters);
  return streamReply("application/json", (sink) => write(engine.events, span, filters, request, sink));
}

/** Longest timer there is; a later `until` never comes. */
const timerMsMax = 2 ** 31 - 1;

async function write(
  events: EngineEvents,
  { since, until }: Span,
  filters: Filters,
  request: ApiRequest,
  sink: Sink,
): Promise<void> {
  const send = (event: EngineEvent): Promise<void> | undefined =>
    matchesEvent(event, filters, request.version) ? sink.write(Buffer.from(eventLine(event))) : undefined;
  const untilMs = until === undefined ? undefined : Number(until / 1_000_000n) - Date.now();
  const ended = new AbortController();
  const timer = setTimeout(() => ended.abort(), Math.max(0, Math.min(untilMs ?? timerMsMax, timerMsMax)));
  if (untilMs === undefined) clearTimeout(timer);
  const live = events
    .follow({ signal: AbortSignal.any([request.signal, ended.signal]) })
    [Symbol.asyncIterator]();
  try {
    // Asking for the first new event before reading the old ones leaves no gap, and nothing runs in between.
    let next = untilMs !== undefined && untilMs <= 0 ? undefined : live.next();
    next?.catch(() => undefined);
    const past = since === undefined && until === undefined ? [] : [...events.replay(since ?? 0n, until)];
    for (const event of past) await send(event);
    while (next !== undefined) {
      const { done, value } = await next;
      if (done === true || (until !== undefined && value.timeNano > until)) break;
      await send(value);
      next = live.next();
    }
  } catch (thrown) {
    if (!ended.signal.aborted) throw thrown;
  } finally {
    clearTimeout(timer);
    await live.return?.();
  }
}
