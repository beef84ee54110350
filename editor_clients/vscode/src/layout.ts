// How the panel shows alternatives: each as the lines that it would make. Knows no editor: layout.test.ts runs it alone.

/** What stands in the panel. */
export interface Layout {
  text: string;
  /** The line in which each alternative begins. */
  starts: number[];
}

/** A heading, and each text between what stands before and after it in its line; an empty line goes before each. */
export function layOut(heading: string, before: string, after: string, texts: string[]): Layout {
  const lines = [heading];
  const starts = texts.map((text) => {
    const start = lines.push('');
    lines.push(...linesOf(before + text + after));
    return start;
  });
  return { text: `${lines.join('\n')}\n`, starts };
}

/** The alternative that a line belongs to; above the first it is the first. */
export function alternativeAt({ starts }: Layout, line: number): number {
  return Math.max(0, starts.filter((start) => start <= line).length - 1);
}

export function linesOf(text: string): string[] {
  return text.split(/\r\n|\r|\n/);
}
