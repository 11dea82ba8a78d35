/** Pure. One method of a service: its path and what goes both ways. */
import type { Message } from "./proto-message.ts";

export interface Method<ReqOut, ReqIn, ResOut, ResIn> {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly request: Message<ReqOut, ReqIn>;
  readonly response: Message<ResOut, ResIn>;
}

export function method<ReqOut, ReqIn, ResOut, ResIn>(
  path: string,
  request: Message<ReqOut, ReqIn>,
  response: Message<ResOut, ResIn>,
): Method<ReqOut, ReqIn, ResOut, ResIn> {
  return { path, request, response };
}
