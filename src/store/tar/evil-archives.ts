/** For tests only: archives that want out of the directory they are unpacked into, or to break whoever unpacks them. */
import { encodeHeader } from "./tar-header.ts";
import { encodePax } from "./tar-pax.ts";

export interface EvilArchive {
  readonly name: string;
  readonly bytes: Buffer;
}

interface Part {
  readonly name?: string;
  readonly type?: string;
  readonly link?: string;
  readonly content?: Buffer | string;
  readonly mode?: number;
  readonly major?: number;
  readonly minor?: number;
  /** Said in the header; otherwise the content's. */
  readonly size?: number;
  readonly pax?: readonly (readonly [string, string])[];
  /** Bytes put over the header; the checksum is made right again unless `broken`. */
  readonly patch?: readonly (readonly [offset: number, bytes: Buffer | string])[];
  readonly broken?: boolean;
}

const end = Buffer.alloc(1024);

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

function header(part: Part, sizeBytes: number): Buffer {
  const block = encodeHeader({
    type: part.type ?? "0",
    name: (part.name ?? "file").slice(0, 100),
    linkName: part.link ?? "",
    mode: part.mode ?? 0o644,
    uid: 0,
    gid: 0,
    sizeBytes: part.size ?? sizeBytes,
    mtimeSeconds: 1,
    major: part.major ?? 0,
    minor: part.minor ?? 0,
  });
  for (const [offset, bytes] of part.patch ?? []) Buffer.from(bytes as string, "latin1").copy(block, offset);
  if (part.broken !== true) {
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  }
  return block;
}

function entry(part: Part): Buffer {
  const content = Buffer.from((part.content ?? "") as string);
  const records = part.pax?.map(([key, value]) => [key, Buffer.from(value, "latin1")] as const) ?? [];
  const body = encodePax(records);
  const extended = body.length === 0 ? [] : [header({ type: "x", name: "pax" }, body.length), padded(body)];
  return Buffer.concat([...extended, header(part, content.length), padded(content)]);
}

function longName(type: "L" | "K", name: string): Buffer {
  const body = Buffer.from(`${name}\0`);
  return Buffer.concat([header({ type, name: "././@LongLink" }, body.length), padded(body)]);
}

function tar(...parts: (Part | Buffer)[]): Buffer {
  return Buffer.concat([...parts.map((part) => (Buffer.isBuffer(part) ? part : entry(part))), end]);
}

const stolen = "written by an archive";
const symlink = (name: string, link: string): Part => ({ name, link, type: "2" });
const hard = (name: string, link: string): Part => ({ name, link, type: "1" });
const file = (name: string): Part => ({ name, content: stolen });
const directory = (name: string): Part => ({ name, type: "5", mode: 0o755 });

/** `outside` is an absolute path that must stay as it is; it has the files `secret` and `directory/file`. */
export function evilArchives(outside: string): EvilArchive[] {
  const up = `${"../".repeat(24)}${outside.slice(1)}`;
  const named = {
    ...names(outside, up),
    ...links(outside, up),
    ...headers(outside, up),
    ...files(outside),
    ...damaged(up),
  };
  return Object.entries(named).map(([name, bytes]) => ({ name, bytes }));
}

type Named = Readonly<Record<string, Buffer>>;

function names(outside: string, up: string): Named {
  return {
    "an absolute name": tar(file(`${outside}/absolute`)),
    "an absolute name over a file": tar(file(`${outside}/secret`)),
    "a name that climbs": tar(file(`${up}/climbed`)),
    "a name that climbs by one": tar(file("../climbed")),
    "a name that climbs in its middle": tar(file("a/../../climbed")),
    "a name that is two dots": tar(directory("..")),
    "a name that is a dot, of a file": tar(file(".")),
    "an empty name": tar({ ...file(""), patch: [[0, "\0"]] }),
  };
}

function links(outside: string, up: string): Named {
  return {
    "a link out, and a file behind it": tar(symlink("out", outside), file("out/through")),
    "a climbing link out, and a file behind it": tar(symlink("out", up), file("out/through")),
    "a link out, and a file in its place": tar(symlink("out", `${outside}/secret`), file("out")),
    "a link out, and a directory in its place": tar(
      symlink("out", outside),
      directory("out"),
      file("out/in"),
    ),
    "a directory, a link in its place, a file in it": tar(
      directory("d"),
      symlink("d", outside),
      file("d/through"),
    ),
    "links in a chain": tar(symlink("a", "b"), symlink("b", "c"), symlink("c", outside), file("a/through")),
    "links in a circle": tar(symlink("a", "b"), symlink("b", "a"), file("a/x")),
    "a link to itself": tar(symlink("a", "a"), file("a/x")),
    "a link to /proc/self/root": tar(symlink("p", "/proc/self/root"), file(`p${outside}/through`)),
    "a link to /proc/self/cwd": tar(symlink("p", "/proc/self/cwd"), file("p/through")),
    "a hard link to a file outside": tar(hard("h", `${outside}/secret`), file("h")),
    "a climbing hard link": tar(hard("h", `${up}/secret`), file("h")),
    "a hard link through a link": tar(symlink("out", outside), hard("h", "out/secret"), file("h")),
    "a hard link to a link out, written through": tar(
      symlink("s", `${outside}/secret`),
      hard("h", "s"),
      file("h"),
    ),
    "a hard link to itself": tar(hard("h", "h")),
    "a hard link to nothing": tar(hard("h", "nowhere")),
    "a hard link to a directory": tar(directory("d"), hard("h", "d")),
    "a hard link to a hard link that climbs": tar(hard("g", "../secret"), hard("h", "g")),
  };
}

function headers(outside: string, up: string): Named {
  return {
    "a path in an extended header": tar({ ...file("innocent"), pax: [["path", `${up}/pax`]] }),
    "an absolute path in an extended header": tar({ ...file("innocent"), pax: [["path", `${outside}/pax`]] }),
    "a link path in an extended header": tar(
      { ...symlink("s", "x"), pax: [["linkpath", outside]] },
      file("s/through"),
    ),
    "a hard link's path in an extended header": tar({
      ...hard("h", "x"),
      pax: [["linkpath", `${up}/secret`]],
    }),
    "a path with a NUL in an extended header": tar({ ...file("x"), pax: [["path", `x\0${outside}`]] }),
    "a name with a NUL in its middle": tar({ ...file("x"), patch: [[0, "in\0/../../out"]] }),
    "a name of 5000 bytes": tar(longName("L", "n".repeat(5000)), file("short")),
    "a name of 64 KiB": tar(longName("L", "n".repeat(65536)), file("short")),
    "a part of a name of 300 bytes": tar(longName("L", `${"n".repeat(300)}/x`), file("short")),
    "a long name that climbs": tar(longName("L", `${"../".repeat(60)}${outside.slice(1)}/long`), file("x")),
    "a long link that climbs": tar(longName("K", up), symlink("s", "x"), file("s/through")),
    "two thousand directories deep": tar(longName("L", "d/".repeat(2040)), directory("x")),
  };
}

function files(outside: string): Named {
  return {
    "whiteouts of what is above": tar(
      file(".wh..."),
      file(".wh.."),
      file("../.wh.secret"),
      file(`.wh.${outside}`),
    ),
    "opaque marks everywhere": tar(file(".wh..wh..opq"), file("../.wh..wh..opq"), file("a/.wh..wh..opq")),
    "the same name five times, of every kind": tar(
      file("x"),
      directory("x"),
      symlink("x", outside),
      file("x"),
      directory("x"),
      file("x/y"),
    ),
    "a disk": tar({ name: "disk", type: "4", major: 8, minor: 0 }),
    "the memory as a device": tar({ name: "mem", type: "3", major: 1, minor: 1 }),
    "a device in place of a directory": tar(
      directory("d"),
      { name: "d", type: "3", major: 1, minor: 3 },
      file("d/x"),
    ),
    "a pipe, and content for it": tar({ name: "p", type: "6" }, file("p")),
    "set-user-id of root": tar({ ...file("su"), mode: 0o6755 }),
    "a capability of a file": tar({
      ...file("cap"),
      pax: [["SCHILY.xattr.security.capability", "\x01\0\0\x02\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0"]],
    }),
    "an attribute of SELinux": tar({ ...file("x"), pax: [["SCHILY.xattr.security.selinux", "evil"]] }),
    "an attribute that steers the overlay": tar({
      ...directory("d"),
      pax: [
        ["SCHILY.xattr.trusted.overlay.redirect", "/etc"],
        ["SCHILY.xattr.trusted.overlay.opaque", "y"],
      ],
    }),
    "an attribute with a name too long": tar({
      ...file("x"),
      pax: [[`SCHILY.xattr.user.${"n".repeat(300)}`, "v"]],
    }),
    "a thousand and more attributes": tar({
      ...file("x"),
      pax: Array.from({ length: 1100 }, (_, index) => [`SCHILY.xattr.user.a${index}`, "v"] as const),
    }),
  };
}

function damaged(up: string): Named {
  return {
    "a wrong checksum": tar({ ...file("x"), patch: [[0, "y"]], broken: true }),
    "a header that is noise": Buffer.concat([Buffer.alloc(512, 0xa5), end]),
    "cut off in a header": tar(file("x")).subarray(0, 300),
    "cut off in content": tar({ ...file("x"), content: Buffer.alloc(4000) }).subarray(0, 2000),
    "cut off behind an extended header": tar({ ...file("x"), pax: [["path", "y"]] }).subarray(0, 1024),
    "a size beyond all disks": tar({ ...file("huge"), size: 0o77777777777 }),
    "a size of base 256, beyond numbers": tar({
      ...file("huge"),
      patch: [[124, "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]],
    }),
    "a negative size": tar({
      ...file("x"),
      patch: [[124, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"]],
    }),
    "a negative size in an extended header": tar({ ...file("x"), pax: [["size", "-512"]] }),
    "a size that is no number": tar({ ...file("x"), pax: [["size", "1e9"]] }),
    "an extended header that lies about its length": tar(
      header({ type: "x", name: "pax" }, 30),
      padded(Buffer.from("999 path=../../escaped\n")),
      file("x"),
    ),
    "an extended header of 16 MiB": tar(header({ type: "x", name: "pax", size: 16 << 20 }, 0)),
    "a sparse file whose parts overlap": tar({
      ...file("s"),
      pax: [
        ["GNU.sparse.size", "100"],
        ["GNU.sparse.map", "0,10,5,11"],
      ],
    }),
    "a sparse file whose parts leave it": tar({
      ...file("s"),
      pax: [
        ["GNU.sparse.size", "10"],
        ["GNU.sparse.map", "1000,21"],
      ],
    }),
    "a sparse file that hides its name": tar({
      ...file("s"),
      pax: [
        ["GNU.sparse.name", `${up}/sparse`],
        ["GNU.sparse.size", "21"],
        ["GNU.sparse.map", "0,21"],
      ],
    }),
    "a sparse map that never ends": tar({
      ...file("s"),
      content: `${"9".repeat(511)}\n`,
      pax: [
        ["GNU.sparse.major", "1"],
        ["GNU.sparse.minor", "0"],
        ["GNU.sparse.realsize", "10"],
      ],
    }),
    "a type that nobody knows": tar({ ...file("x"), type: "Z" }),
  };
}
