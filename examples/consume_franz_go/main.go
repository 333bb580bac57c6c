// Write tag-updates into a file, each exactly once, whoever is killed when, with franz-go.
//
// A line holds its record's place in Kafka, which is where the next start goes on. A line that was cut off by a kill is
// taken away first. No offsets are committed to Kafka.
//
// Run: go run -C examples/consume_franz_go . updates.tsv
// Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)
package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	path, next := os.Args[1], map[int32]int64{}
	content, _ := os.ReadFile(path) // there is none at the first start
	content = content[:bytes.LastIndexByte(content, '\n')+1]
	for _, line := range strings.Split(string(content), "\n") {
		var partition int32
		var offset int64
		if n, _ := fmt.Sscanf(line, "%d\t%d\t", &partition, &offset); n == 2 {
			next[partition] = offset + 1
		}
	}
	file := must(os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644))
	must(0, file.Truncate(int64(len(content))))
	client := must(kgo.NewClient(
		kgo.SeedBrokers(strings.Split(cmp.Or(os.Getenv("KAFKA_BOOTSTRAP_SERVERS"), "localhost:9092"), ",")...),
		kgo.ConsumeTopics(os.Getenv("TAGSTREAM_TOPIC_PREFIX")+"image.tag-updates"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		// What a transaction has not committed, or has aborted, is no result.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	))
	for {
		client.PollFetches(context.Background()).EachRecord(func(record *kgo.Record) {
			if record.Offset >= next[record.Partition] { // else it was written before
				must(fmt.Fprintf(file, "%d\t%d\t%s\n", record.Partition, record.Offset, record.Value))
			}
		})
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
