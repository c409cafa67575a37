#!/usr/bin/env bash
unset KAFKA_HEAP_OPTS
exec "$(dirname "$0")/kafka-run-class.sh" org.apache.kafka.tools.TopicCommand "$@"
