// What the page's own scripts import from CodeMirror and the two query languages.
export { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
export { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
export { HighlightStyle, LRLanguage, LanguageSupport, bracketMatching, syntaxHighlighting, syntaxTree } from "@codemirror/language";
export { lintKeymap } from "@codemirror/lint";
export { EditorState, Prec } from "@codemirror/state";
export { EditorView, keymap, placeholder } from "@codemirror/view";
export { AGGREGATION_OPERATORS, RANGE_VEC_FUNCTIONS, parser as logqlParser } from "@grafana/lezer-logql";
export { styleTags, tags } from "@lezer/highlight";
export { PromQLExtension } from "@prometheus-io/codemirror-promql";
