/** Where a browser goes after its login: a path of this gateway, and nothing else. What is not one becomes `/`. */
export function localPath(asked: unknown, publicUrl: string): string {
  if (typeof asked !== 'string' || !/^\/(?![/\\])[^\\]*$/.test(asked) || hasControl(asked)) return '/';
  const base = new URL(publicUrl);
  // Within another origin's path a browser would read it differently than we do: what counts is what it reads.
  const url = URL.parse(asked, base.href);
  if (url === null || url.origin !== base.origin || url.pathname.startsWith('//') || url.pathname.startsWith('/auth/')) return '/';
  return `${url.pathname}${url.search}${url.hash}`;
}

/** Browsers drop some of them, so that what follows comes nearer. */
function hasControl(text: string): boolean {
  return Array.from(text, (character) => character.codePointAt(0) ?? 0).some((code) => code < 32 || code === 127);
}
