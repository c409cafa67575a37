/**
 * Log-based capture as infrastructure: Debezium connectors are files (as Connect takes them, secrets as `${env:NAME}` references that
 * the worker resolves), and this folder plans, validates, applies and watches them through Connect's REST interface, and prepares the
 * source with the owner's SQL (sql/). Promises: nothing is created that the server has not validated; what does not reach RUNNING is
 * undone; applying twice changes nothing; no secret is shown. Leaves to others: running Connect (stack/), reading the topics.
 */
export { applyConnector, type ApplyOptions, type ApplyResult } from './register/apply.ts';
export { connectorsCommand } from './commands.ts';
export { parseConnectorFile, readConnectorFile, type ConnectorConfig, type ConnectorFile } from './config-file.ts';
export { declaredKey, leavesOut, masksText, takesIn } from './left-out.ts';
export { formatsOf, otherForms } from './contract-forms.ts';
export { guardMetrics } from './guard/metrics.ts';
export { deleteConnector } from './register/delete.ts';
export { formatPlan, planChanges, type ConfigChange, type Plan } from './register/plan.ts';
export { connectClient, type ConnectClient } from './rest/client.ts';
export type { ConnectLocation } from './rest/request.ts';
export type { ConnectInfo, ConnectorOffsets, ConnectorStatus, ServerValidation } from './rest/schemas.ts';
export { snapshotState, waitForStreaming, type WaitOptions } from './register/running.ts';
export { capturedTables, dataTables, listEntry } from './postgres/table-list.ts';
export { mariadbLogImage } from './mariadb/log-image.ts';
export { mariadbLostValues } from './mariadb/lossy-values.ts';
export { readLogImage, type LogImage } from './postgres/facts/log-image.ts';
export { lostValues, type LostValues } from './postgres/facts/lossy-values.ts';
export { prepareSource } from './postgres/prepare-source.ts';
export type { SourceChange, SourceRequest } from './postgres/source-change.ts';
export { undoSource } from './postgres/undo-source.ts';
export { snapshotTables, type SnapshotTarget } from './snapshot/incremental.ts';
export { dropSlot } from './postgres/slot.ts';
export { formatStatus, summarizeStatus, type StatusSummary } from './state/status.ts';
export { shortTrace } from './state/trace.ts';
