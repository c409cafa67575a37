import type { CatalogueEntry } from './entry.ts';

/** The services around the pipeline. */
export const serviceErrors = {
  SERVICE_NOT_CONFIGURED: {
    cause: 'The configuration does not say what the service needs.',
    remedy: 'Add what is named under services in pipeline.yaml (docs/services.md).',
    exitCode: 78,
  },
  SERVICE_HTTP_UNAVAILABLE: {
    cause: 'The service cannot listen on its address.',
    remedy: 'Correct host and port under services in pipeline.yaml, or stop what uses the port.',
    exitCode: 69,
  },
  SERVICE_TLS_INVALID: {
    cause: 'A certificate, a key or a CA of a service cannot be read, or is not one.',
    remedy:
      'Correct the setting in the message, or the file: PEM, readable for the user of the service, the key without a passphrase and of that certificate.',
    exitCode: 78,
  },
  GATEWAY_AUDIENCE_UNSUPPORTED: {
    cause: 'Services behind the gateway have audiences of their own, and the identity provider gives no tokens for more than one.',
    remedy: 'Take audience out of services.gateway.upstreams and give all services the same one, or let the provider give refresh tokens.',
    exitCode: 78,
  },
  QUERY_API_LOGIN_REFUSED: {
    cause: 'The read database refused the login of the query API.',
    remedy: 'Create the role (cdc services roles prints the SQL), or correct services.queryApi.user and password.',
    exitCode: 77,
  },
  QUERY_API_ROLE_TOO_STRONG: {
    cause: 'The role of the query API may do more than read, so a fault of the API could change the model.',
    remedy: 'Use a role of its own: cdc services roles prints the SQL.',
    exitCode: 77,
  },
  QUERY_API_GRANT_MISSING: {
    cause: 'The role of the query API may not read a table of the model.',
    remedy: 'Run cdc services roles --apply, or have the owner of the tables run the SQL that cdc services roles prints.',
    exitCode: 77,
  },
  QUERY_API_FALLBACK_ROLE_TOO_STRONG: {
    cause: 'The role with which the query API reads the legacy database may do more than read.',
    remedy: 'Name a role with SELECT only under services.queryApi.fallback.legacy: that of the poller will do.',
    exitCode: 77,
  },
  ORDER_SERVICE_LOGIN_REFUSED: {
    cause: 'The legacy database refused the login of the order service.',
    remedy: 'Create the role (cdc services roles prints the SQL), or correct services.orders.user and password.',
    exitCode: 77,
  },
  ORDER_SERVICE_ROLE_TOO_STRONG: {
    cause: 'The role of the order service may change more than orders, so a fault of the service could too.',
    remedy: 'Use a role of its own: cdc services roles prints the SQL.',
    exitCode: 77,
  },
  ORDER_SERVICE_GRANT_MISSING: {
    cause: 'The role of the order service may not do what commands on orders need, or its own table is missing.',
    remedy: 'Run cdc services roles --apply, or have the owner of the tables run the SQL that cdc services roles prints.',
    exitCode: 77,
  },
} as const satisfies Record<string, CatalogueEntry>;
