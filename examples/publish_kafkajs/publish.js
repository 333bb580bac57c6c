// Publish an upload event from Node.js with KafkaJS.
//
// Run: npm ci --prefix examples/publish_kafkajs
//      node examples/publish_kafkajs/publish.js koala https://photos.example/koala.jpg
// Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)

const { randomUUID } = require("node:crypto");
const { Kafka, Partitioners, logLevel } = require("kafkajs");

const brokers = (process.env.KAFKA_BOOTSTRAP_SERVERS || "localhost:9092").split(",");
const topic = `${process.env.TAGSTREAM_TOPIC_PREFIX || ""}image.uploads`;

async function publish(publicId, url) {
  const kafka = new Kafka({ clientId: "publish_kafkajs", brokers, logLevel: logLevel.ERROR });
  // The default of KafkaJS 2 chooses partitions as Java's clients do; that of KafkaJS 1 does not.
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, idempotent: true });
  const event = { event_id: randomUUID(), public_id: publicId, url, auto_tagging: 0.4 };
  await producer.connect();
  try {
    const [place] = await producer.send({ topic, messages: [{ key: publicId, value: JSON.stringify(event) }] });
    console.log(`${publicId}: ${topic}, partition ${place.partition}, offset ${place.baseOffset}`);
  } finally {
    await producer.disconnect();
  }
}

const [publicId, url] = process.argv.slice(2);
if (!url) {
  console.error("usage: node publish.js PUBLIC_ID URL");
  process.exit(2);
}
publish(publicId, url).catch((error) => {
  console.error(`not published: ${error.message}`);
  process.exitCode = 1;
});
