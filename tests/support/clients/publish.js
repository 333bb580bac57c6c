// Publishes what comes on stdin, a JSON array of [key or null, value], by kafkajs with its default partitioner.
const { Kafka, logLevel } = require("kafkajs");

async function main() {
  const messages = JSON.parse(require("fs").readFileSync(0, "utf-8"));
  const kafka = new Kafka({ brokers: process.env.BROKERS.split(","), logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({
    topic: process.env.TOPIC,
    messages: messages.map(([key, value]) => ({ key, value })),
  });
  await producer.disconnect();
}

main();
