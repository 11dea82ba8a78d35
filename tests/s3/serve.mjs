/** Serves an empty bucket on loopback until it is killed, and says where: `port N`. */
import { startFauxqs } from "fauxqs";

const [, , s3StorageDir] = process.argv;
const { port } = await startFauxqs({
  port: 0,
  host: "127.0.0.1",
  logger: false,
  s3StorageDir,
  init: { buckets: ["depot"] },
});
process.stdout.write(`port ${port}\n`);
