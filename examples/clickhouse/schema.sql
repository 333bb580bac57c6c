-- What image.tags and tag.counts say, in ClickHouse. Of rows with the same key the one that came last in its partition of Kafka
-- counts, and none where that one took the key away: ask with FINAL. Rows may come again.
CREATE TABLE IF NOT EXISTS image_tags (
    tenant LowCardinality(String),
    tag LowCardinality(String),
    public_id String CODEC(ZSTD),
    user_id String CODEC(ZSTD),
    confidence Float32,
    source LowCardinality(String),
    model LowCardinality(String),
    uploaded_at DateTime64(3, 'UTC') CODEC(ZSTD),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta, ZSTD),
    gone UInt8,
    INDEX images public_id TYPE bloom_filter(0.001),
    INDEX users user_id TYPE bloom_filter(0.001)
) ENGINE = ReplacingMergeTree(kafka_offset, gone)
ORDER BY (tenant, tag, public_id, kafka_partition)
SETTINGS allow_experimental_replacing_merge_with_cleanup = 1, min_age_to_force_merge_seconds = 86400,
    min_age_to_force_merge_on_partition_only = 1, enable_replacing_merge_with_cleanup_for_min_age_to_force_merge = 1;

CREATE TABLE IF NOT EXISTS tag_counts (
    tenant LowCardinality(String),
    add_on LowCardinality(String),
    window LowCardinality(String),
    start DateTime('UTC') CODEC(Delta, ZSTD),
    tag LowCardinality(String),
    count UInt32 CODEC(ZSTD),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta, ZSTD),
    gone UInt8
) ENGINE = ReplacingMergeTree(kafka_offset, gone)
ORDER BY (tenant, add_on, window, start, tag, kafka_partition)
SETTINGS allow_experimental_replacing_merge_with_cleanup = 1, min_age_to_force_merge_seconds = 86400,
    min_age_to_force_merge_on_partition_only = 1, enable_replacing_merge_with_cleanup_for_min_age_to_force_merge = 1;
