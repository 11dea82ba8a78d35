import { expect, test } from "bun:test";
import * as v from "valibot";
import { type ApiRequest, json } from "./api-request.ts";

/** A body whose end never comes. */
const endless = {
  sizeBytes: 20,
  bytes: () => new Promise<Uint8Array>(() => undefined),
} as unknown as ApiRequest["body"];

test("a JSON body that does not come in time is given up with 408, and says after how long", async () => {
  const headers = new Map([["content-type", "application/json"]]);
  const request = { headers, body: endless } as unknown as ApiRequest;
  const shortMs = 20;
  const reading = json(request, v.unknown(), shortMs);
  await expect(reading).rejects.toMatchObject({
    status: 408,
    message: "the request body did not come within 0.02 seconds",
  });
});
