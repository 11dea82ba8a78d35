/**
 * Pure. Protocol Buffers messages (proto3) said once: a table of fields gives the codec and the TypeScript type.
 * Owns: presence and defaults, repeated fields and maps. The bytes themselves are read and written by protobuf-es.
 * Promises: unknown fields are skipped, as are known ones of another wire type. Never: groups, packed lists, extensions.
 * Source: protobuf.dev/programming-guides/encoding.
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Fault } from "./fault.ts";

/** A field of a message: `Out` is what reading gives, `In` what writing takes. */
export interface Field<Out, In> {
  readonly number: number;
  readonly wire: WireType;
  /** Of a message that does not have the field. */
  readonly absent: () => Out;
  /** One more occurrence, joined to what came before. */
  readonly read: (reader: BinaryReader, before: Out) => Out;
  /** Writes nothing for a default. */
  readonly write: (writer: BinaryWriter, value: In) => void;
}

// biome-ignore lint/suspicious/noExplicitAny: inferred from each table.
type Fields = Readonly<Record<string, Field<any, any>>>;
type OutOf<F extends Fields> = {
  -readonly [Name in keyof F]: ReturnType<F[Name]["absent"]>;
};
type InOf<F extends Fields> = {
  readonly [Name in keyof F]?: Parameters<F[Name]["write"]>[1] | undefined;
};

/** A kind of message. */
export interface Message<Out, In> {
  /** @throws Fault `invalid` for bytes that are not one. */
  readonly decode: (bytes: Uint8Array) => Out;
  readonly encode: (value: In) => Uint8Array;
  readonly readFrom: (reader: BinaryReader, length: number) => Out;
  readonly writeTo: (writer: BinaryWriter, value: In) => void;
}

/** What decoding gives. */
export type Read<M extends { readonly decode: (bytes: Uint8Array) => unknown }> = ReturnType<M["decode"]>;
/** What encoding takes. */
export type Written<M extends { readonly encode: (value: never) => Uint8Array }> = Parameters<M["encode"]>[0];

export function message<const F extends Fields>(fields: F): Message<OutOf<F>, InOf<F>> {
  const named = Object.entries(fields);
  const byNumber = new Map(named.map(([name, field]) => [field.number, { name, field }]));
  const readFrom = (reader: BinaryReader, length: number): OutOf<F> => {
    const end = reader.pos + length;
    const out: Record<string, unknown> = {};
    for (const [name, field] of named) out[name] = field.absent();
    while (reader.pos < end) {
      const [number, wire] = reader.tag();
      const known = byNumber.get(number);
      if (known?.field.wire === wire) out[known.name] = known.field.read(reader, out[known.name]);
      else reader.skip(wire, number);
    }
    return out as OutOf<F>;
  };
  const writeTo = (writer: BinaryWriter, value: InOf<F>): void => {
    for (const [name, field] of named) {
      const given: unknown = value[name];
      if (given !== undefined) field.write(writer, given);
    }
  };
  return {
    readFrom,
    writeTo,
    decode: (bytes) => {
      try {
        const out = readFrom(new BinaryReader(bytes), bytes.length);
        return out;
      } catch (cause) {
        throw new Fault("invalid", `a message cannot be read: ${Fault.from(cause).message}`, { cause });
      }
    },
    encode: (value) => {
      const writer = new BinaryWriter();
      writeTo(writer, value);
      return writer.finish();
    },
  };
}

/** A kind of value that stands alone. */
interface Scalar<T> {
  readonly wire: WireType;
  readonly zero: T;
  readonly isZero: (value: T) => boolean;
  readonly read: (reader: BinaryReader) => T;
  readonly write: (writer: BinaryWriter, value: T) => void;
}

function scalar<T>(kind: Scalar<T>): (number: number) => Field<T, T> {
  return (number) => ({
    number,
    wire: kind.wire,
    absent: () => kind.zero,
    read: kind.read,
    write: (writer, value) => {
      if (!kind.isZero(value)) kind.write(writer.tag(number, kind.wire), value);
    },
  });
}

const texts: Scalar<string> = {
  wire: WireType.LengthDelimited,
  zero: "",
  isZero: (value) => value === "",
  read: (reader) => reader.string(),
  write: (writer, value) => writer.string(value),
};
const blobs: Scalar<Uint8Array> = {
  wire: WireType.LengthDelimited,
  zero: new Uint8Array(0),
  isZero: (value) => value.length === 0,
  read: (reader) => reader.bytes(),
  write: (writer, value) => writer.bytes(value),
};

export const string = scalar(texts);
/** Reading gives a view of the message's own bytes. */
export const bytes = scalar(blobs);
export const bool = scalar<boolean>({
  wire: WireType.Varint,
  zero: false,
  isZero: (value) => !value,
  read: (reader) => reader.bool(),
  write: (writer, value) => writer.bool(value),
});
export const int32 = scalar<number>({
  wire: WireType.Varint,
  zero: 0,
  isZero: (value) => value === 0,
  read: (reader) => reader.int32(),
  write: (writer, value) => writer.int32(value),
});
export const uint32 = scalar<number>({
  wire: WireType.Varint,
  zero: 0,
  isZero: (value) => value === 0,
  read: (reader) => reader.uint32(),
  write: (writer, value) => writer.uint32(value),
});
/** 64 bits for what fits a number: sizes, counts. Larger values lose their last digits. */
export const int64 = scalar<number>({
  wire: WireType.Varint,
  zero: 0,
  isZero: (value) => value === 0,
  read: (reader) => Number(reader.int64()),
  write: (writer, value) => writer.int64(BigInt(Math.trunc(value))),
});
/** All 64 bits: nanoseconds. */
export const bigInt64 = scalar<bigint>({
  wire: WireType.Varint,
  zero: 0n,
  isZero: (value) => value === 0n,
  read: (reader) => BigInt(reader.int64()),
  write: (writer, value) => writer.int64(value),
});

/** `google.protobuf.Timestamp` as nanoseconds since the epoch. */
export function timestamp(number: number): Field<bigint | undefined, bigint | undefined> {
  const inner = message({ seconds: bigInt64(1), nanos: int32(2) });
  const one = sub(number, inner);
  return {
    number,
    wire: one.wire,
    absent: () => undefined,
    read: (reader) => {
      const { seconds, nanos } = inner.readFrom(reader, reader.uint32());
      return seconds * 1_000_000_000n + BigInt(nanos);
    },
    write: (writer, value) => {
      if (value === undefined) return;
      const seconds = value / 1_000_000_000n;
      one.write(writer, { seconds, nanos: Number(value % 1_000_000_000n) });
    },
  };
}

/** A message within; undefined when absent. */
export function sub<Out, In>(number: number, kind: Message<Out, In>): Field<Out | undefined, In | undefined> {
  return {
    number,
    wire: WireType.LengthDelimited,
    absent: () => undefined,
    read: (reader) => kind.readFrom(reader, reader.uint32()),
    write: (writer, value) => {
      if (value === undefined) return;
      writer.tag(number, WireType.LengthDelimited).fork();
      kind.writeTo(writer, value);
      writer.join();
    },
  };
}

/** Repeated messages. */
export function list<Out, In>(number: number, kind: Message<Out, In>): Field<Out[], readonly In[]> {
  const one = sub(number, kind);
  return {
    number,
    wire: one.wire,
    absent: () => [],
    read: (reader, before) => {
      before.push(kind.readFrom(reader, reader.uint32()));
      return before;
    },
    write: (writer, values) => {
      for (const value of values) one.write(writer, value);
    },
  };
}

function repeated<T>(kind: Scalar<T>): (number: number) => Field<T[], readonly T[]> {
  return (number) => ({
    number,
    wire: kind.wire,
    absent: () => [],
    read: (reader, before) => {
      before.push(kind.read(reader));
      return before;
    },
    write: (writer, values) => {
      for (const value of values) kind.write(writer.tag(number, kind.wire), value);
    },
  });
}

export const strings = repeated(texts);
export const byteLists = repeated(blobs);

type Entries<T> = Record<string, T>;

/** `key` is of any scalar kind that JavaScript's keys can stand for. */
function mapped<Out, In>(
  number: number,
  field: Field<Out, In>,
  present: (value: Out) => Out,
  // biome-ignore lint/suspicious/noExplicitAny: texts and numbers are both keys.
  key: Field<any, any> = string(1),
): Field<Entries<Out>, Readonly<Entries<In>>> {
  const entry = message({ key, value: field });
  const one = sub(number, entry);
  return {
    number,
    wire: WireType.LengthDelimited,
    absent: () => Object.create(null) as Entries<Out>,
    read: (reader, before) => {
      const { key, value } = entry.readFrom(reader, reader.uint32());
      before[key] = present(value as Out);
      return before;
    },
    write: (writer, values) => {
      for (const key of Object.keys(values)) one.write(writer, { key, value: values[key] } as never);
    },
  };
}

/** `map<string, string>`. What is read has no prototype: any key is only a key. */
export function stringMap(number: number): Field<Entries<string>, Readonly<Entries<string>>> {
  return mapped(number, string(2), (value) => value);
}

/** `map<string, bytes>`. */
export function bytesMap(number: number): Field<Entries<Uint8Array>, Readonly<Entries<Uint8Array>>> {
  return mapped(number, bytes(2), (value) => value);
}

/** `map<string, bool>`. */
export function boolMap(number: number): Field<Entries<boolean>, Readonly<Entries<boolean>>> {
  return mapped(number, bool(2), (value) => value);
}

/** `map<string, Message>`. */
export function messageMap<Out, In>(
  number: number,
  kind: Message<Out, In>,
): Field<Entries<Out>, Readonly<Entries<In>>> {
  const field = mapped(number, sub(2, kind), (value) => value ?? kind.decode(new Uint8Array(0)));
  return field as Field<Entries<Out>, Readonly<Entries<In>>>;
}

/** `map<int64, Message>`. */
export function numberedMap<Out, In>(
  number: number,
  kind: Message<Out, In>,
): Field<Entries<Out>, Readonly<Entries<In>>> {
  const present = (value: Out | undefined) => value ?? kind.decode(new Uint8Array(0));
  const key = {
    ...int64(1),
    write: (writer: BinaryWriter, text: string) => int64(1).write(writer, Number(text)),
  };
  return mapped(number, sub(2, kind), present, key) as Field<Entries<Out>, Readonly<Entries<In>>>;
}
