/**
 * Room for records on a full disk. Whoever must remove a container to get space back has to write that down first, so
 * the database keeps free pages of its own, and its log keeps its size: both are written over, never extended, until the
 * reserve is used up. (File systems that copy on write give no such promise; there it helps only by chance.)
 */
import { constants, type Database } from "bun:sqlite";
import { statSync } from "node:fs";

/** As large as the log gets before SQLite folds it into the database: 1000 pages. */
const reserveBytes = 4 << 20;
const pageBytes = 4096;

/** Makes the reserve where it is missing. A disk that is full already leaves things as they are. */
export function reserveSpace(database: Database, path: string): void {
  database.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1);
  if (freeBytes(database) >= reserveBytes && fileBytes(`${path}-wal`) >= reserveBytes) return;
  try {
    // Two transactions: pages made and freed in one would never be written.
    database.run("CREATE TABLE IF NOT EXISTS reserve (bytes BLOB)");
    database.run("INSERT INTO reserve VALUES (zeroblob(?))", [reserveBytes]);
    database.run("DROP TABLE reserve");
    database.run("PRAGMA wal_checkpoint(RESTART)");
  } catch (error) {
    if (!isFull(error)) throw error;
  }
}

/** True for SQLite's word for a disk without space. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "SQLITE_FULL";
}

function freeBytes(database: Database): number {
  const row = database.query<{ freelist_count: number }, []>("PRAGMA freelist_count").get();
  return (row?.freelist_count ?? 0) * pageBytes;
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
