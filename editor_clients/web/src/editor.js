// The text on the left: CodeMirror in a shadow root, whose style sheets a strict policy allows.

import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { go } from '@codemirror/lang-go';
import { javascript } from '@codemirror/lang-javascript';
import { python } from '@codemirror/lang-python';
import { rust } from '@codemirror/lang-rust';
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { lua } from '@codemirror/legacy-modes/mode/lua';
import { Compartment, EditorState, Prec, StateEffect, StateField } from '@codemirror/state';
import {
  Decoration,
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
  WidgetType,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';

const LANGUAGES = {
  py: python,
  js: javascript,
  jsx: () => javascript({ jsx: true }),
  ts: () => javascript({ typescript: true }),
  tsx: () => javascript({ jsx: true, typescript: true }),
  go,
  rs: rust,
  lua: () => StreamLanguage.define(lua),
};

const style = HighlightStyle.define([
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: 'var(--code-keyword)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--code-string)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--code-number)' },
  { tag: tags.comment, color: 'var(--code-comment)', fontStyle: 'italic' },
  { tag: [tags.function(tags.variableName), tags.function(tags.propertyName)], color: 'var(--code-function)' },
  { tag: [tags.typeName, tags.className], color: 'var(--code-type)' },
  { tag: [tags.operator, tags.punctuation], color: 'var(--code-operator)' },
]);

const theme = EditorView.theme(
  {
    '&': { height: '100%', fontSize: '13.5px', color: 'var(--text)', backgroundColor: 'transparent' },
    '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.6' },
    '.cm-content': { padding: '10px 0', caretColor: 'var(--mask)' },
    '.cm-gutters': { backgroundColor: 'transparent', color: 'var(--faint)', border: 'none', paddingLeft: '6px' },
    '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'rgb(139 124 246 / 7%)' },
    '&.cm-focused': { outline: 'none' },
    '.cm-cursor': { borderLeft: '2px solid var(--mask)' },
    '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
      backgroundColor: 'rgb(139 124 246 / 25%)',
    },
    '.cm-matchingBracket': { backgroundColor: 'rgb(139 124 246 / 22%)', outline: 'none' },
    '.ghost': { color: 'var(--dim)', opacity: '0.75', fontStyle: 'italic', whiteSpace: 'pre' },
  },
  { dark: true },
);

class GhostText extends WidgetType {
  constructor(text) {
    super();
    this.text = text;
  }

  eq(other) {
    return other.text === this.text;
  }

  toDOM() {
    const made = document.createElement('span');
    made.className = 'ghost';
    made.textContent = this.text;
    return made;
  }
}

const setGhost = StateEffect.define();
/** What is suggested at a place of the text; gone with the next change of text or cursor. */
const ghost = StateField.define({
  create: () => null,
  update(value, transaction) {
    for (const effect of transaction.effects) if (effect.is(setGhost)) return effect.value;
    return transaction.docChanged || transaction.selection ? null : value;
  },
  provide: (field) =>
    EditorView.decorations.from(field, (value) =>
      value
        ? Decoration.set([Decoration.widget({ widget: new GhostText(value.text), side: 1 }).range(value.at)])
        : Decoration.none,
    ),
});

/** Makes the editor. `moved` is called when text or cursor have changed, `run` when somebody asks for a fill. */
export function makeEditor(parent, moved, run) {
  const root = parent.attachShadow({ mode: 'open' });
  const language = new Compartment();
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      extensions: [
        lineNumbers(),
        history(),
        drawSelection(),
        indentOnInput(),
        bracketMatching(),
        highlightActiveLine(),
        highlightActiveLineGutter(),
        indentUnit.of('    '),
        syntaxHighlighting(style),
        theme,
        ghost,
        language.of([]),
        Prec.highest(
          keymap.of([
            { key: 'Mod-Enter', run: () => (run(), true) },
            { key: 'Tab', run: take },
          ]),
        ),
        keymap.of([...defaultKeymap, ...historyKeymap, indentWithTab]),
        EditorView.contentAttributes.of({ 'aria-label': 'code', spellcheck: 'false', autocapitalize: 'off' }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged || update.selectionSet) moved(update.docChanged);
        }),
      ],
    }),
  });

  return {
    /** The text on both sides of the cursor; what is selected would be replaced. */
    around() {
      const { from, to } = view.state.selection.main;
      const { doc } = view.state;
      return { prefix: doc.sliceString(0, from), suffix: doc.sliceString(to) };
    },
    open(text, at, path) {
      const effects = language.reconfigure(LANGUAGES[path.split('.').at(-1)]?.() ?? []);
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: at }, effects });
      view.dispatch({ effects: EditorView.scrollIntoView(at, { y: 'nearest', yMargin: 80 }) });
    },
    suggest(text) {
      const { from } = view.state.selection.main;
      view.dispatch({ effects: setGhost.of(text ? { at: from, text } : null) });
    },
    focus: () => view.focus(),
  };
}

function take(view) {
  const suggested = view.state.field(ghost);
  if (!suggested) return false;
  const { from, to } = view.state.selection.main;
  const anchor = from + suggested.text.length;
  view.dispatch({ changes: { from, to, insert: suggested.text }, selection: { anchor }, userEvent: 'input.complete' });
  return true;
}
