import { Counter, Gauge, type Registry } from 'prom-client';
import type { Guard, GuardState } from './guard.ts';

const states: readonly GuardState[] = ['closed', 'half-open', 'open'];

/** State and refusals of the guards, asked for when they are read. `prefix`: of the service's metrics, with its underscore. */
export function registerGuards(registry: Registry, prefix: string, guards: () => readonly Guard[]): void {
  registry.registerMetric(
    new Gauge({
      name: `${prefix}breaker_state`,
      help: 'Circuit breaker of a dependency: 0 closed, 1 half-open, 2 open.',
      labelNames: ['dependency'],
      registers: [],
      collect() {
        for (const { name, figures } of guards()) this.set({ dependency: name }, states.indexOf(figures.state));
      },
    }),
  );
  registry.registerMetric(
    new Gauge({
      name: `${prefix}dependency_calls`,
      help: 'Calls of a dependency that run now.',
      labelNames: ['dependency'],
      registers: [],
      collect() {
        for (const { name, figures } of guards()) this.set({ dependency: name }, figures.running);
      },
    }),
  );
  registry.registerMetric(
    new Counter({
      name: `${prefix}dependency_refused_total`,
      help: 'Calls that a guard refused: open (breaker), busy (bulkhead) or timeout.',
      labelNames: ['dependency', 'why'],
      registers: [],
      collect() {
        this.reset();
        for (const { name, figures } of guards())
          for (const [why, count] of Object.entries(figures.refused)) this.inc({ dependency: name, why }, count);
      },
    }),
  );
}
