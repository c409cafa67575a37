/** What a code means whatever the place: why it happens and what to do about it. `exitCode` is what the CLI ends with. */
export type CatalogueEntry = { readonly cause: string; readonly remedy: string; readonly exitCode: number };
