import type { CliContext } from '#pipeline/index.ts';
import type { Command } from 'commander';

/**
 * The folders' commands, in the order of the help. A command's folder is imported when the command is asked for: `cdc poller` starts sooner, and in less memory, without the connectors, the
 * comparison and the stack.
 */
export const folderCommands: Readonly<Record<string, (context: CliContext) => Promise<Command>>> = {
  init: async (context) => (await import('#project/index.ts')).initCommand(context),
  demo: async (context) => (await import('#comparison/index.ts')).demoCommand(context),
  stack: async (context) => (await import('#stack/commands.ts')).stackCommand(context),
  'legacy-db': async (context) => (await import('#legacy-db/commands.ts')).legacyDbCommand(context),
  poller: async (context) => (await import('#cdc-poller/commands.ts')).pollerCommand(context),
  connectors: async (context) => (await import('#connectors/commands.ts')).connectorsCommand(context),
  doctor: async (context) => (await import('#doctor/index.ts')).doctorCommand(context),
  'read-model': async (context) =>
    (await import('#read-model/commands.ts')).readModelCommand(context, async (topicPrefix) =>
      (await import('#project/index.ts')).capturedUnder(await context.config(), context.configFolder(), topicPrefix),
    ),
  consumer: async (context) => (await import('#sdk/commands.ts')).consumerCommand(context),
  services: async (context) => (await import('#services/commands.ts')).servicesCommand(context),
  events: async (context) => (await import('#tail/index.ts')).eventsCommand(context),
  verify: async (context) => (await import('#verify/index.ts')).verifyCommand(context),
  schemas: async (context) => {
    const [{ schemasCommand }, { schemaCheckCommand }] = await Promise.all([
      import('#change-events/commands.ts'),
      import('#cdc-poller/commands.ts'),
    ]);
    return schemasCommand(context).addCommand(schemaCheckCommand(context));
  },
  types: async (context) => (await import('#types/index.ts')).typesCommand(context),
  compare: async (context) => (await import('#comparison/commands.ts')).compareCommand(context),
};
