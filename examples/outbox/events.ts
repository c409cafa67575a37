/** What the shop promises to other services: the payload of each type of event. */
export type OrderEvents = {
  readonly OrderPlaced: { readonly customerId: number; /** Digits with a decimal point. */ readonly amount: string };
  readonly OrderCancelled: Readonly<Record<string, never>>;
};
