// Most used tags of all time by Flink SQL, from tag.counts: the same as GET /trends/top.
//
// Run: java --add-opens java.base/java.util=ALL-UNNAMED -cp 'lib/*' examples/flink_sql/TopTags.java   (Flink in lib)
// Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty), TENANT (empty)
import java.util.*;
import org.apache.flink.table.api.*;
import org.apache.flink.types.*;

public class TopTags {
    // A count is one of a partition: those of all partitions add up.
    static final String COUNTS = """
        CREATE TABLE counts (
            tenant STRING, tag STRING, add_on STRING, `window` STRING, `start` STRING, `partition` INT, `count` BIGINT,
            PRIMARY KEY (tenant, tag, add_on, `window`, `start`, `partition`) NOT ENFORCED
        ) WITH (
            'connector' = 'upsert-kafka', 'properties.bootstrap.servers' = '%s', 'topic' = '%stag.counts',
            'properties.isolation.level' = 'read_committed', 'scan.bounded.mode' = 'latest-offset',
            'key.format' = 'json', 'value.format' = 'json'
        )""";
    static final String TOP = """
        SELECT tag, SUM(`count`) FROM counts
        WHERE tenant = '%s' AND add_on = '*' AND `window` = 'all' GROUP BY tag""";

    public static void main(String[] arguments) throws Exception {
        var set = System.getenv();
        var servers = set.getOrDefault("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092");
        var tables = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
        tables.executeSql(COUNTS.formatted(servers, set.getOrDefault("TAGSTREAM_TOPIC_PREFIX", "")));
        Map<Object, Long> top = new HashMap<>();
        try (var rows = tables.executeSql(TOP.formatted(set.getOrDefault("TENANT", ""))).collect()) {
            while (rows.hasNext()) {
                Row row = rows.next();
                if (row.getKind() == RowKind.DELETE) top.remove(row.getField(0));
                else if (row.getKind() != RowKind.UPDATE_BEFORE) top.put(row.getField(0), (Long) row.getField(1));
            }
        }
        top.entrySet().stream().filter(each -> each.getValue() > 0)
            .sorted(Map.Entry.<Object, Long>comparingByValue().reversed().thenComparing(each -> each.getKey().toString()))
            .forEach(each -> System.out.println(each.getKey() + "\t" + each.getValue()));
    }
}
