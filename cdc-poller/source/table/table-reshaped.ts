/**
 * The table is not what it was when its shape was read: another table of that name, another file, other columns or another key. No
 * failure: nothing of what was read has been published; the shape is read again and the position decides how to go on.
 */
export class TableReshaped extends Error {
  override readonly name = 'TableReshaped';

  constructor() {
    super('the table has changed its columns, its key or its storage');
  }
}
