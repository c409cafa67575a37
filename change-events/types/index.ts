/**
 * TypeScript of what consumers get once `eventDecoder` has decoded it: from Avro and JSON Schema (`cdc schemas types`), and the parts of it for whoever knows
 * the columns from elsewhere (types/). Pure. Promises: the same input gives the same text, and no name breaks out of the file.
 */
export { declaredText } from './avro-shape.ts';
export { shapeOf, type SubjectSchema } from './generate.ts';
export { commentLines, pascal, quoted, typePrinter, type TypePrinter } from './print.ts';
export { envelopeOf, plain, type Member, type ObjectShape, type TypeShape } from './shape.ts';
