"""The query API: a table of routes, each with a typed question and answer. It knows no HTTP and no Kafka."""
