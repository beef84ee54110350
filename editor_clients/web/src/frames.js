// What the passes of a fill say, as something to draw. No page in here: `frames.test.mjs` runs it alone.

/**
 * A lane is one fill: its frames as they came. A frame is a draft of the server, see `draft_values` in messages.py:
 * `decided` and `slots` hold [text, confidence], the text null while a slot is masked.
 */
export class Lane {
  frames = [];
  /** Of each decided token the pass that decided it, from 1, and where it came from. */
  tokens = [];
  #denoised = false;

  add(draft) {
    const before = this.frames.at(-1)?.decided.length ?? 0;
    this.frames.push(draft);
    if (draft.kind === 'denoise' || draft.kind === 'remask') this.#denoised = true;
    const kept = draft.kind === 'verify' ? keptOf(draft) : 0;
    // the first token that a pass verifies was decided by the pass before
    const drafted = before + Math.max(0, kept - 1);
    for (let at = this.tokens.length; at < draft.decided.length && !draft.final; at++) {
      let origin = 'own';
      if (draft.kind !== 'verify') origin = 'denoised';
      else if (at < drafted) origin = this.#denoised ? 'drafted' : 'copied';
      this.tokens.push({ pass: this.frames.length, origin });
    }
    if (draft.kind === 'verify') this.#denoised = false;
  }

  get ended() {
    return this.frames.at(-1)?.final ?? false;
  }

  get ms() {
    return this.frames.at(-1)?.ms ?? 0;
  }

  /** Index of the last frame at a time in ms; -1 before the first. */
  at(ms) {
    let index = -1;
    while (index + 1 < this.frames.length && this.frames[index + 1].ms <= ms) index++;
    return index;
  }

  /** What a frame shows: cells with `kind` token, mask, draft (not verified yet) or refused. */
  cells(index) {
    const frame = this.frames[index];
    if (!frame) return [];
    const before = index > 0 ? this.frames[index - 1].decided.length : 0;
    const decided = frame.decided.map(([text, confidence], at) => ({
      kind: 'token',
      text,
      confidence,
      fresh: at >= before && !frame.final,
      ...(this.tokens[at] ?? {}),
    }));
    if (frame.final) return within(decided, frame.text);
    if (frame.kind === 'verify') {
      const refused = frame.slots.slice(keptOf(frame)).map(([text]) => ({ kind: 'refused', text, confidence: 0 }));
      return [...decided, ...refused];
    }
    const open = frame.slots
      .slice(frame.given)
      .map(([text, confidence]) => ({ kind: text === null ? 'mask' : 'draft', text: text ?? '', confidence }));
    return [...decided, ...open];
  }
}

function keptOf(frame) {
  return frame.slots.filter(([, confidence]) => confidence > 0).length;
}

/** The cells as far as they say a text, which filters may have changed, and what is left of it as one more. */
function within(cells, text) {
  const shown = [];
  for (const cell of cells) {
    // blanks at the end are no part of the answer
    const part = text.startsWith(cell.text) ? cell.text : cell.text.trimEnd();
    if (!text.startsWith(part)) break;
    shown.push({ ...cell, text: part });
    text = text.slice(part.length);
  }
  return text ? [...shown, { kind: 'token', text, confidence: 1 }] : shown;
}

/** From coral (unsure) over amber to mint (sure), as a colour for CSS and SVG. */
export function colour(confidence) {
  const stops = [
    [0, [240, 113, 107]],
    [0.55, [242, 192, 78]],
    [1, [95, 208, 160]],
  ];
  const upper = Math.max(1, stops.findIndex(([at]) => at >= confidence));
  const [low, from] = stops[upper - 1];
  const [high, to] = stops[upper];
  const share = Math.min(1, Math.max(0, (confidence - low) / (high - low)));
  return `rgb(${from.map((value, i) => Math.round(value + share * (to[i] - value))).join(' ')})`;
}
