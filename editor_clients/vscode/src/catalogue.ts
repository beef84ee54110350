// What `unmask models list --json` and `unmask models pull` print. Knows no editor: catalogue.test.ts runs it alone.

export interface Model {
  name: string;
  /** In billions. */
  parameters: number;
  licence: string;
  /** What is to be minded of the licence; empty when nothing is. */
  warning: string;
  infills: boolean;
  /** null where it is not known before it is asked for. */
  bytes_to_fetch: number | null;
  /** The folder; null when it is not installed. */
  installed: string | null;
}

/** The models that fill holes; lines that are none are passed over. */
export function readModels(printed: string): Model[] {
  return printed.split('\n').flatMap((line) => {
    try {
      const model: unknown = JSON.parse(line);
      return isModel(model) && model.infills ? [model] : [];
    } catch {
      return [];
    }
  });
}

function isModel(value: unknown): value is Model {
  return typeof value === 'object' && value !== null && 'name' in value && 'infills' in value;
}

/** What a list shows beside the name. */
export function describe({ parameters, licence, bytes_to_fetch: bytes, installed }: Model): string {
  const size = installed ? 'installed' : bytes ? `${(bytes / 1e9).toFixed(2)} GB to fetch` : 'to fetch';
  return `${parameters} B, ${licence}, ${size}`;
}

/** The share that is fetched, of a line such as `from the hub: 0.12 of 0.49 GB, 12.0 MB/s, 30 s left`; else undefined. */
export function shareOf(line: string): number | undefined {
  const found = /^from .*: ([\d.]+) of ([\d.]+) GB/.exec(line);
  const [done, total] = [Number(found?.[1]), Number(found?.[2])];
  return total > 0 && done >= 0 ? Math.min(1, done / total) : undefined;
}
