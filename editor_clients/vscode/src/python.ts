// Which Python may hold the server. Knows no editor: python.test.ts runs it alone.

/** Programs that may be one, the usual names first. */
export const NAMES = ['python3', 'python', 'python3.14', 'python3.13', 'python3.12', 'python3.11', 'py'];
/** Arguments that have it print its version. */
export const ASK = ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'];
export const LEAST = '3.11';

/** Whether what `ASK` printed is the version of one that is new enough. */
export function isNewEnough(printed: string): boolean {
  const found = /^(\d+)\.(\d+)\s*$/.exec(printed);
  return found !== null && (Number(found[1]) > 3 || (Number(found[1]) === 3 && Number(found[2]) >= 11));
}

/** What went wrong, in one line, by what venv or pip has printed; empty where they printed nothing. */
export function complaintOf(printed: string): string {
  const lines = printed.trim().split('\n');
  // Debian's Python makes environments with another package only, and its message ends with the command that failed
  const lacks = printed.includes('ensurepip') ? /^ +(apt\S* install \S+)/m.exec(printed) : null;
  const errors = lines.filter((line) => line.startsWith('ERROR:'));
  return lacks ? `this Python lacks a part: ${lacks[1]}` : (errors.at(-1) ?? lines.at(-1) ?? '');
}

/** What of a line of pip's tells a person how far it is; undefined for the others. */
export function stepOf(line: string): string | undefined {
  const found = /^\s*(Processing|Collecting|Downloading|Using cached|Installing|Successfully installed)\s+(\S+)/.exec(line);
  return found ? `${found[1]} ${found[2]?.split('/').at(-1)}` : undefined;
}
