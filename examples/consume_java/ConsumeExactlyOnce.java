// Write tag-updates into a file, each exactly once, whoever is killed when, with Kafka's own client.
//
// A line holds its record's place in Kafka, which is where the next start goes on. A line that was cut off by a kill is
// taken away first. No offsets are committed to Kafka.
//
// Run: java -cp 'lib/*' examples/consume_java/ConsumeExactlyOnce.java updates.tsv   (kafka-clients in lib)
// Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

public class ConsumeExactlyOnce {
    public static void main(String[] arguments) throws Exception {
        var environment = System.getenv();
        var topic = environment.getOrDefault("TAGSTREAM_TOPIC_PREFIX", "") + "image.tag-updates";
        Map<String, Object> options = Map.of(
            "bootstrap.servers", environment.getOrDefault("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
            "isolation.level", "read_committed", // what a transaction has not committed, or has aborted, is no result
            "enable.auto.commit", "false",
            "auto.offset.reset", "earliest");
        var path = Path.of(arguments[0]);
        Map<Integer, Long> next = positions(path);
        try (var consumer = new KafkaConsumer<>(options, new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> places = consumer.partitionsFor(topic).stream()
                .map(each -> new TopicPartition(topic, each.partition())).toList();
            consumer.assign(places);
            for (var place : places) consumer.seek(place, next.getOrDefault(place.partition(), 0L));
            while (true) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    var line = record.partition() + "\t" + record.offset() + "\t" + record.value() + "\n";
                    Files.writeString(path, line, StandardOpenOption.APPEND);
                }
            }
        }
    }

    /** Where each partition goes on; what lies behind the last whole line is taken away. */
    static Map<Integer, Long> positions(Path path) throws Exception {
        var content = Files.exists(path) ? Files.readString(path) : "";
        var whole = content.substring(0, content.lastIndexOf('\n') + 1);
        try (var file = Files.newByteChannel(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            file.truncate(whole.getBytes(StandardCharsets.UTF_8).length);
        }
        Map<Integer, Long> next = new HashMap<>();
        for (var line : whole.lines().toList()) {
            next.put(Integer.valueOf(line.split("\t")[0]), Long.parseLong(line.split("\t")[1]) + 1);
        }
        return next;
    }
}
