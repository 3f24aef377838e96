// The page Explore: an editor for the query, and what the page's server answers. The browser never asks the gateway itself.
import {
  autocompletion, bracketMatching, closeBrackets, closeBracketsKeymap, completionKeymap, defaultKeymap, EditorState,
  EditorView, history, historyKeymap, keymap, lintKeymap, placeholder, Prec,
} from "/static/vendor/editor.min.js";
import { logql, promql } from "./languages.js";
import { showResult } from "./results.js";
import { colors, theme } from "./theme.js";

const EXAMPLES = { promql: "up", logql: '{job="…"} |= "error"' };
const form = document.getElementById("explore");
const field = document.getElementById("query");
const status = document.getElementById("status");
const texts = { promql: "", logql: "" }; // what was typed in each language
const { run: closeCompletion } = completionKeymap.find(({ key }) => key === "Escape");
// Or Tab would lead into the options, which scroll.
const leave = (view) => closeCompletion(view) && false;
let editor, running;

const chosen = () => Object.fromEntries(new FormData(form));

function edit() {
  const { tenant, language } = chosen();
  const support = language === "logql" ? logql(tenant) : promql(tenant);
  const run = () => (form.requestSubmit(), true);
  editor?.destroy();
  editor = new EditorView({
    parent: document.getElementById("editor"),
    state: EditorState.create({
      doc: texts[language],
      extensions: [
        EditorView.cspNonce.of(form.dataset.nonce),
        EditorView.contentAttributes.of({ "aria-label": "Query" }),
        EditorView.lineWrapping,
        EditorView.updateListener.of((update) => {
          if (update.docChanged) field.value = texts[language] = update.state.doc.toString();
          // Options that scroll take the focus, for assistive technology that does not follow the chosen one.
          update.view.dom.querySelector(".cm-tooltip-autocomplete > ul")?.setAttribute("tabindex", "0");
        }),
        Prec.highest(keymap.of([{ key: "Ctrl-Enter", run }, { key: "Mod-Enter", run }, { key: "Tab", run: leave }])),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap]),
        autocompletion(), bracketMatching(), closeBrackets(), history(), placeholder(EXAMPLES[language]), colors, theme, support,
      ],
    }),
  });
  field.value = texts[language];
}

async function run() {
  const url = new URLSearchParams(chosen());
  running?.abort();
  const own = (running = new AbortController());
  window.history.replaceState(null, "", `/explore?${url}`);
  status.textContent = "The query is running.";
  let result;
  try {
    const answer = await fetch(`/explore/query?${url}`, { signal: own.signal });
    const type = answer.headers.get("Content-Type") ?? "";
    result = type.startsWith("application/json") ? await answer.json() : { error: await answer.text() };
  } catch (problem) {
    if (own.signal.aborted) return; // a newer query runs
    result = { error: `The page does not answer: ${problem.message}` };
  }
  if (running === own) status.textContent = showResult(result);
}

texts[chosen().language] = field.value;
edit();
for (const id of ["tenant", "language"]) document.getElementById(id).addEventListener("change", edit);
form.addEventListener("submit", (event) => (event.preventDefault(), run()));
if (field.value.trim()) run();
