/** What this build is. `npm run build` sets the values; in a checkout they are the defaults. */

declare const WHERRY_COMMIT: string | undefined;
declare const WHERRY_BUILD_TIME: string | undefined;

export const version = "0.1.0";
export const gitCommit = typeof WHERRY_COMMIT === "string" ? WHERRY_COMMIT : "checkout";
/** RFC 3339. */
export const buildTime = typeof WHERRY_BUILD_TIME === "string" ? WHERRY_BUILD_TIME : "1970-01-01T00:00:00Z";
