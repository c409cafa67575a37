/** `types` of a pg query whose values are to come as the server's texts. */
export const rawText = { getTypeParser: () => (value: unknown) => value };
