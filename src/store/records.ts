/**
 * Records: what must outlive the engine, as JSON values in one SQLite file.
 * Owns: the database and its schema version. Promises: a put is atomic and survives the process at once, a power cut
 * after the next checkpoint or not at all; `transaction` is all or nothing; bigints come back as bigints.
 * Never: an await inside a transaction; two engines on one file.
 */
import { Database, type SQLQueryBindings, type Statement } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { Fault } from "#spec/fault.ts";
import { explainFull } from "./disk-full.ts";
import { reserveSpace } from "./record-reserve.ts";
import { decodeValue, encodeValue } from "./record-value.ts";

/** Of the file's layout, not of the values in it. */
const schemaVersion = 1;
const tableName = /^[a-z][a-z0-9-]{0,62}$/;
const busyTimeoutMs = 5000;

/** A map from text to values that outlives the process. */
export interface Table<T> {
  get(key: string): T | undefined;
  /** In the order of the keys. */
  list(): T[];
  /** In the order of the keys. */
  entries(): [string, T][];
  /** Makes or replaces. */
  put(key: string, value: T): void;
  /** False when there was none. */
  delete(key: string): boolean;
}

export interface JournalEntry<T> {
  /** Grows by one with each append, also across restarts and trims. */
  readonly seq: number;
  readonly timeNano: bigint;
  readonly value: T;
}

/** Values in the order they came. */
export interface Journal<T> {
  /** @returns its number. */
  append(timeNano: bigint, value: T): number;
  /** In order; both ends belong to the range. Appending while iterating is safe. */
  range(sinceNano?: bigint, untilNano?: bigint): Iterable<JournalEntry<T>>;
  /** Keeps the newest `keep` entries. */
  trim(keep: number): void;
}

export class Records implements Disposable {
  readonly #database: Database;
  readonly #tables = new Map<string, SqliteTable>();
  readonly #journals = new Map<string, SqliteJournal>();

  private constructor(database: Database) {
    this.#database = database;
  }

  /** Makes the file and its directory when missing. @throws Fault `unavailable` for a damaged or newer file. */
  static open(path: string): Records {
    mkdirSync(dirname(path), { recursive: true, mode: 0o710 });
    let database: Database | undefined;
    try {
      database = new Database(path, { create: true, readwrite: true, strict: true });
      database.run(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
      // One engine has the file: no lock is taken and given back around every look.
      database.run("PRAGMA locking_mode = EXCLUSIVE");
      database.run("PRAGMA journal_mode = WAL");
      database.run("PRAGMA synchronous = NORMAL");
      adoptSchema(database, path);
      reserveSpace(database, path);
      return new Records(database);
    } catch (cause) {
      database?.close();
      if (cause instanceof Fault) throw cause;
      throw new Fault(
        "unavailable",
        `the records in ${path} cannot be opened (${Fault.from(cause).message}): restore the file, or move it away to start without them`,
        { cause },
      );
    }
  }

  /** The table of that name, made when missing. `T` is the caller's word: nothing checks it. */
  table<T>(name: string): Table<T> {
    let table = this.#tables.get(name);
    if (table === undefined) {
      table = writing(this.#database, () => new SqliteTable(this.#database, checkedName(name)));
      this.#tables.set(name, table);
    }
    return table as Table<T>;
  }

  /** The journal of that name, made when missing. */
  journal<T>(name: string): Journal<T> {
    let journal = this.#journals.get(name);
    if (journal === undefined) {
      journal = writing(this.#database, () => new SqliteJournal(this.#database, checkedName(name)));
      this.#journals.set(name, journal);
    }
    return journal as Journal<T>;
  }

  /**
   * Runs `work` in a transaction: a throw undoes all its changes. Nests. `work` is synchronous.
   * @throws Fault `internal` when it returns a promise, whose changes would escape.
   */
  transaction<R>(work: () => R): R {
    const run = this.#database.transaction(() => {
      const result = work();
      if (result instanceof Promise) {
        result.catch(() => undefined);
        throw new Fault("internal", "a transaction of the records must be synchronous");
      }
      return result;
    });
    return writing(this.#database, () => run.immediate());
  }

  /** Closes the file; everything is in it, and another process can have it. Idempotent. */
  [Symbol.dispose](): void {
    // SQLite keeps a file, and the lock on it, for as long as a statement is left.
    for (const each of [...this.#tables.values(), ...this.#journals.values()]) each.finalize();
    this.#database.close();
  }
}

/** @throws Fault `unavailable` when the disk is full and the reserve is used up. */
function writing<R>(database: Database, write: () => R): R {
  try {
    return write();
  } catch (error) {
    throw explainFull(error, database.filename);
  }
}

function checkedName(name: string): string {
  if (tableName.test(name)) return name;
  throw new Fault("internal", `${JSON.stringify(name)} cannot name a table of the records`);
}

function adoptSchema(database: Database, path: string): void {
  const row = database.query<{ user_version: number }, []>("PRAGMA user_version").get();
  const version = row?.user_version ?? 0;
  if (version > schemaVersion)
    throw new Fault(
      "unavailable",
      `the records in ${path} were written by a newer wherry (layout ${version}, this one knows ${schemaVersion}): upgrade wherry`,
    );
  if (version < schemaVersion) database.run(`PRAGMA user_version = ${schemaVersion}`);
}

interface ValueRow {
  readonly value: string;
}

class SqliteTable implements Table<unknown> {
  readonly #database: Database;
  readonly #get: Statement<ValueRow, [string]>;
  readonly #all: Statement<ValueRow & { readonly key: string }, []>;
  readonly #put: Statement<unknown, [string, string]>;
  readonly #delete: Statement<unknown, [string]>;

  constructor(database: Database, name: string) {
    const table = `"table ${name}"`;
    this.#database = database;
    database.run(
      `CREATE TABLE IF NOT EXISTS ${table} (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID`,
    );
    this.#get = database.prepare(`SELECT value FROM ${table} WHERE key = ?`);
    this.#all = database.prepare(`SELECT key, value FROM ${table} ORDER BY key`);
    this.#put = database.prepare(
      `INSERT INTO ${table} VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2`,
    );
    this.#delete = database.prepare(`DELETE FROM ${table} WHERE key = ?`);
  }

  get(key: string): unknown {
    const row = this.#get.get(key);
    return row === null ? undefined : decodeValue(row.value);
  }

  list(): unknown[] {
    return this.#all.all().map(({ value }) => decodeValue(value));
  }

  entries(): [string, unknown][] {
    return this.#all.all().map(({ key, value }) => [key, decodeValue(value)]);
  }

  put(key: string, value: unknown): void {
    writing(this.#database, () => this.#put.run(key, encodeValue(value)));
  }

  delete(key: string): boolean {
    return writing(this.#database, () => this.#delete.run(key)).changes > 0;
  }

  finalize(): void {
    for (const each of [this.#get, this.#all, this.#put, this.#delete]) each.finalize();
  }
}

/** Rows read at once, so that a journal of any length costs little memory and can be appended to meanwhile. */
const journalBatchRows = 500;
const int64Max = 2n ** 63n - 1n;

interface JournalRow extends ValueRow {
  readonly seq: bigint;
  readonly time: bigint;
}

class SqliteJournal implements Journal<unknown> {
  readonly #database: Database;
  readonly #append: Statement<unknown, SQLQueryBindings[]>;
  readonly #range: Statement<JournalRow, [bigint, bigint, bigint, number]>;
  readonly #trim: Statement<unknown, [number]>;

  constructor(database: Database, name: string) {
    const table = `"journal ${name}"`;
    this.#database = database;
    database.run(
      `CREATE TABLE IF NOT EXISTS ${table} (seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, value TEXT NOT NULL)`,
    );
    this.#append = database.prepare(`INSERT INTO ${table} (time, value) VALUES (?, ?)`);
    this.#range = database.prepare(
      `SELECT seq, time, value FROM ${table} WHERE seq > ? AND time >= ? AND time <= ? ORDER BY seq LIMIT ?`,
    );
    this.#range.safeIntegers(true);
    this.#trim = database.prepare(
      `DELETE FROM ${table} WHERE seq <= (SELECT coalesce(max(seq), 0) FROM ${table}) - ?`,
    );
  }

  append(timeNano: bigint, value: unknown): number {
    const { lastInsertRowid } = writing(this.#database, () => this.#append.run(timeNano, encodeValue(value)));
    return Number(lastInsertRowid);
  }

  *range(sinceNano = -int64Max, untilNano = int64Max): Iterable<JournalEntry<unknown>> {
    let last = 0n;
    for (;;) {
      const rows = this.#range.all(last, sinceNano, untilNano, journalBatchRows);
      for (const { seq, time, value } of rows)
        yield { seq: Number(seq), timeNano: time, value: decodeValue(value) };
      const end = rows.at(-1);
      if (end === undefined || rows.length < journalBatchRows) return;
      last = end.seq;
    }
  }

  trim(keep: number): void {
    writing(this.#database, () => this.#trim.run(keep));
  }

  finalize(): void {
    for (const each of [this.#append, this.#range, this.#trim]) each.finalize();
  }
}
