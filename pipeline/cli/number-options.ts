import { InvalidArgumentError } from 'commander';

/** Reads the value of a command's option: a number above 0. @throws InvalidArgumentError, which commander reports with the option's name */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(Number.isFinite(value) && value > 0)) throw new InvalidArgumentError('Expected a number above 0.');
  return value;
}

/** A reader of whole numbers of a range; the largest is the largest that a number holds exactly. @throws InvalidArgumentError */
export function wholeNumber(minimum: number, maximum: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const expected = `from ${minimum}${maximum === Number.MAX_SAFE_INTEGER ? '' : ` to ${maximum}`}`;
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < minimum || value > maximum)
      throw new InvalidArgumentError(`Expected a whole number ${expected}.`);
    return value;
  };
}
