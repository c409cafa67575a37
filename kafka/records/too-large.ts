/** What is compressed takes more room than may be given to it. */
export class TooLargeError extends Error {
  override readonly name = 'TooLargeError';

  constructor() {
    super('it unpacks to more than the limit');
  }
}
