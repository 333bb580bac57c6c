// Write tag-updates into a file, each exactly once, whoever is killed when, with KafkaJS.
//
// A line holds its record's place in Kafka, which is where the next start goes on. A line that was cut off by a kill
// is taken away first. No offsets are committed to Kafka.
//
// Run: node examples/consume_kafkajs/consume.js updates.tsv   (after npm ci --prefix examples/consume_kafkajs)
// Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)
const fs = require("node:fs");
const { Kafka } = require("kafkajs");

const topic = `${process.env.TAGSTREAM_TOPIC_PREFIX ?? ""}image.tag-updates`;
const path = process.argv[2];

const text = fs.existsSync(path) ? fs.readFileSync(path, "utf8") : "";
const whole = text.slice(0, text.lastIndexOf("\n") + 1);
if (whole !== text) fs.truncateSync(path, Buffer.byteLength(whole));
const next = new Map();
for (const line of whole.split("\n").slice(0, -1)) {
  const [partition, offset] = line.split("\t", 2);
  next.set(Number(partition), BigInt(offset) + 1n);
}

const brokers = (process.env.KAFKA_BOOTSTRAP_SERVERS ?? "localhost:9092").split(",");
const kafka = new Kafka({ brokers });
// KafkaJS reads committed records unless told otherwise, and only as a member of a group.
const consumer = kafka.consumer({ groupId: `${path}-${process.pid}`, readUncommitted: false });
const file = fs.openSync(path, "a");

async function consume() {
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      if (BigInt(message.offset) < (next.get(partition) ?? 0n)) return; // written before
      fs.writeSync(file, `${partition}\t${message.offset}\t${message.value}\n`);
    },
  });
  for (const [partition, offset] of next) consumer.seek({ topic, partition, offset: String(offset) });
}

consume();
