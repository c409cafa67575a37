import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import pg from 'pg';
import { AppModule } from './app.module.js';
import { CdcStrategy } from './cdc.strategy.js';

const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: ['error', 'warn'] });
await app.get(pg.Pool).query(await readFile(new URL('../schema.sql', import.meta.url), 'utf8'));
app.connectMicroservice({ strategy: app.get(CdcStrategy) });
// SIGTERM ends the transport in order, then the pool.
app.enableShutdownHooks();
await app.startAllMicroservices();
await app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1');
