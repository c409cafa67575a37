/**
 * The legacy system: an order database as such systems are (customers, products, orders, order_items), its seed data, and a workload
 * that writes as an old application would. On request it keeps a ledger of truth (schema `ledger`), the yardstick of tests and comparison.
 *
 * Promises: scripts that may run again; seed data and the plan of a workload that are a function of their seed; no transaction left
 * open by a workload, however it ends. Leaves to others: publication, heartbeat and slot (connectors/), and reading any of it.
 */
export { legacyTables, migrate, type GrantedRoles } from './migrate.ts';
export { seed } from './seed.ts';
export { planWorkload } from './workload/plan.ts';
export { runWorkload } from './workload/run-workload.ts';
export { describeWorkload, type WorkloadStatistics } from './workload/statistics.ts';
