/**
 * The body of `POST /volumes/create` as a schema.
 * Pure.
 */
import * as v from "valibot";
import { fields, maybe, text, textMap } from "#spec/docker-json.ts";

export const volumeCreateBody = fields({
  Name: text,
  Driver: text,
  DriverOpts: textMap,
  Labels: textMap,
  ClusterVolumeSpec: maybe(v.unknown()),
});
