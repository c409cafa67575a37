const causedBy = /^\s*(?:Caused by: )?(?<type>[\w$]+(?:\.[\w$]+)+)(?:: (?<message>.*))?$/;
const frame = /^\s*(?:at |\.\.\. \d+ more|Suppressed: )/;
const longest = 400;

/**
 * The root cause of a Java stack trace in one line: the message of the deepest "Caused by", without frames. When that message is
 * missing or says less than its wrapper (`null`, a bare class), the nearest one that says something.
 */
export function shortTrace(trace: string): string {
  const causes = readCauses(trace);
  const informative = causes.findLast(({ message }) => message !== '' && message !== 'null');
  const deepest = causes.at(-1);
  const root = informative ?? deepest;
  if (root === undefined) return clip(trace.trim());
  const simpleType = root.type.split('.').at(-1) ?? root.type;
  return clip(root.message === '' ? simpleType : `${root.message} (${simpleType})`);
}

type Cause = { readonly type: string; readonly message: string };

function readCauses(trace: string): readonly Cause[] {
  const causes: { type: string; message: string }[] = [];
  let open = false;
  for (const line of trace.split('\n')) {
    if (frame.test(line)) {
      open = false;
      continue;
    }
    const found = causedBy.exec(line)?.groups;
    if (found !== undefined && (causes.length === 0 || line.trimStart().startsWith('Caused by: '))) {
      causes.push({ type: found['type'] ?? '', message: (found['message'] ?? '').trim() });
      open = true;
      continue;
    }
    // A message may go on over several lines ("ERROR: …\n  Hint: …") until its first frame.
    const last = causes.at(-1);
    if (open && last !== undefined) last.message = `${last.message} ${line.trim()}`.trim();
  }
  return causes;
}

function clip(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  // The end too: Debezium first prints its whole position, then says what is wrong with it.
  return line.length > longest ? `${line.slice(0, longest / 2)} … ${line.slice(-longest / 2)}` : line;
}
