import getPort, { portNumbers } from 'get-port';
import type { StackPorts } from '../settings.ts';

// Below the range from which systems take ports for outgoing connections: one of those could hold a port while its server is down.
const lowest = 20_000;
const highest = 31_999;

/** Free ports for a stack of so many brokers: those of its last run where they are free, else ones from a random place in the range. */
export async function freePorts(brokers: number, preferred?: StackPorts): Promise<StackPorts> {
  const moreKafka: { kafka: number; controller: number }[] = [];
  for (let index = 0; index < brokers - 1; index += 1) {
    const before = preferred?.moreKafka[index];
    moreKafka.push({ kafka: await freePort(before?.kafka), controller: await freePort(before?.controller) });
  }
  return {
    legacy: await freePort(preferred?.legacy),
    read: await freePort(preferred?.read),
    kafka: await freePort(preferred?.kafka),
    controller: await freePort(preferred?.controller),
    connect: await freePort(preferred?.connect),
    moreKafka,
    ...(preferred?.mariadb === undefined ? {} : { mariadb: await freePort(preferred.mariadb) }),
    ...(preferred?.h2 === undefined ? {} : { h2: await freePort(preferred.h2) }),
    ...(preferred?.registry === undefined ? {} : { registry: await freePort(preferred.registry) }),
    ...(preferred?.identityProvider === undefined ? {} : { identityProvider: await freePort(preferred.identityProvider) }),
    ...(preferred?.gateway === undefined ? {} : { gateway: await freePort(preferred.gateway) }),
  };
}

/** A port that nobody listens on: `wanted`, where it is free. */
export async function freePort(wanted?: number): Promise<number> {
  const from = lowest + Math.floor(Math.random() * (highest - lowest - 500));
  const range = portNumbers(from, highest);
  return await getPort({ port: wanted === undefined ? range : [wanted, ...range], host: '127.0.0.1' });
}
