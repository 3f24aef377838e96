// The colors of the page in the editor, for its light and its dark scheme.
import { EditorView, HighlightStyle, syntaxHighlighting, tags } from "/static/vendor/editor.min.js";

export const theme = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--back)", border: "1px solid var(--quiet)", borderRadius: ".3rem" },
  "&.cm-focused": { outline: "3px solid var(--link)", outlineOffset: "2px" },
  ".cm-content": { caretColor: "var(--text)", fontFamily: "ui-monospace, monospace", minHeight: "4.5rem" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-placeholder": { color: "var(--quiet)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--raised)", outline: "1px solid var(--line)" },
  ".cm-tooltip": { color: "var(--text)", backgroundColor: "var(--raised)", border: "1px solid var(--line)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { color: "var(--back)", backgroundColor: "var(--link)" },
  // CodeMirror underlines by an image in the style, which the page's policy refuses.
  ".cm-lintRange": { backgroundImage: "none !important", paddingBottom: "0" },
  ".cm-lintRange-error": { textDecoration: "underline wavy var(--bad)" },
  ".cm-lintRange-warning": { textDecoration: "underline wavy var(--quiet)" },
  ".cm-lintRange-active": { backgroundColor: "var(--raised)" },
});

export const colors = syntaxHighlighting(
  HighlightStyle.define([
    { tag: [tags.string], color: "var(--good)" },
    { tag: [tags.number, tags.literal], color: "var(--bad)" },
    { tag: [tags.labelName], color: "var(--link)" },
    { tag: [tags.comment], color: "var(--quiet)" },
    { tag: [tags.keyword, tags.modifier, tags.operatorKeyword, tags.function(tags.variableName)], fontWeight: "600" },
  ]),
);
