// What the server says of a fill that is watched, as pieces to draw. Knows no editor: passes.test.ts runs it alone.

/** A pass: the parameters of `unmask/denoising`, see lsp_server/watching.py. */
export interface Pass {
  textDocument: { uri: string; version: number };
  /** The hole with `MASK` for each masked slot; `confidence` has a probability for each of its code points. */
  text: string;
  confidence: number[];
  final: boolean;
  steps: number;
  ms: number;
}

export interface Piece {
  text: string;
  sureness: 'mask' | 'sure' | 'likely' | 'unsure';
}

export const MASK = '░';
const LINE_END = '↵';
/** Code points that are drawn; an editor breaks no such text into lines. */
const MOST = 240;
/** Pieces that are drawn, the last one counted in. */
export const MOST_PIECES = 64;

function surenessOf(character: string, confidence: number): Piece['sureness'] {
  if (character === MASK) {
    return 'mask';
  }
  return confidence > 0.8 ? 'sure' : confidence > 0.4 ? 'likely' : 'unsure';
}

/** The pieces of a pass in one line, each as long as one sureness lasts, and at the end how far it is. */
export function piecesOf({ text, confidence, steps, ms }: Pass): Piece[] {
  const pieces: Piece[] = [];
  const characters = [...text];
  let at = 0;
  for (; at < Math.min(MOST, characters.length) && pieces.length < MOST_PIECES; at++) {
    const character = characters[at] ?? '';
    const sureness = surenessOf(character, confidence[at] ?? 0);
    const shown = character === '\n' ? LINE_END : character;
    const last = pieces.at(-1);
    if (last?.sureness === sureness) {
      last.text += shown;
    } else {
      pieces.push({ text: shown, sureness });
    }
  }
  const shown = pieces.slice(0, MOST_PIECES - 1);
  const more = at < characters.length || shown.length < pieces.length ? '…' : '';
  return [...shown, { text: `${more} ${steps} passes, ${Math.round(ms)} ms`, sureness: 'mask' }];
}
