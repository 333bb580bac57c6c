"""The same work by others: from upload events in Kafka to results in Kafka."""
