#!/usr/bin/env bash
set -euo pipefail
# shellcheck disable=SC2086 # options are words
exec java ${KAFKA_HEAP_OPTS:--Xmx256M} ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseG1GC} ${KAFKA_OPTS:-} \
  -Dorg.slf4j.simpleLogger.showDateTime=true '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS' \
  -Dorg.slf4j.simpleLogger.logFile=System.out -cp "/opt/kafka/libs/*${CLASSPATH:+:$CLASSPATH}" "$@"
