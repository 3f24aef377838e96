// PromQL and LogQL in the editor, with completion of the names that a tenant has.
import {
  AGGREGATION_OPERATORS, LanguageSupport, LRLanguage, logqlParser, PromQLExtension, RANGE_VEC_FUNCTIONS, styleTags,
  syntaxTree, tags,
} from "/static/vendor/editor.min.js";

const LOOKBACK = 24 * 3600 * 1000; // milliseconds
const DURATIONS = ["1m", "5m", "15m", "1h", "24h"];
const STAGES = ["decolorize", "drop", "json", "keep", "label_format", "line_format", "logfmt", "pattern", "regexp", "unpack", "unwrap"];
const STRINGS = /"(?:\\.|[^"\\])*"|`[^`]*`/g;

export function promql(tenant) {
  const remote = { url: `/explore/${tenant}/cortex`, httpMethod: "GET", lookbackInterval: LOOKBACK };
  return new PromQLExtension().setComplete({ remote }).activateLinter(true).asExtension();
}

const language = LRLanguage.define({
  name: "logql",
  parser: logqlParser.configure({
    props: [
      styleTags({
        LineComment: tags.comment,
        String: tags.string,
        "Number Duration Bytes": tags.number,
        "Matcher/Identifier Labels/Identifier": tags.labelName,
        "RangeOp/... VectorOp/... LabelAggOp/... ConvOp/...": tags.function(tags.variableName),
        "By Without On Ignoring GroupLeft GroupRight Bool Offset": tags.modifier,
        "Json Logfmt Unpack Pattern Regexp Unwrap LabelFormat LineFormat Decolorize Drop Keep": tags.keyword,
        "And Or Unless Add Sub Mul Div Mod Pow Eq Neq Re Nre Gtr Gte Lss Lte Eql PipeExact PipeMatch": tags.operator,
      }),
    ],
  }),
  languageData: { closeBrackets: { brackets: ["(", "[", "{", '"', "`"] }, commentTokens: { line: "#" } },
});

export function logql(tenant) {
  return new LanguageSupport(language, language.data.of({ autocomplete: (context) => complete(context, tenant) }));
}

async function complete(context, tenant) {
  if (syntaxTree(context.state).resolveInner(context.pos, -1).name === "LineComment") return null;
  const before = context.state.sliceDoc(0, context.pos);
  const wanted = kindOf(before);
  if (!wanted || (!wanted.typed && !wanted.always && !context.explicit)) return null;
  const options = await wanted.options(tenant);
  return { from: context.pos - wanted.typed.length, options, validFor: wanted.validFor ?? /^\w*$/ };
}

// Return what can stand at the end of a text: what is typed of it, and its options.
function kindOf(before) {
  const selector = before.replace(STRINGS, (text) => "_".repeat(text.length));
  let match;
  if ((match = /([A-Za-z_]\w*)\s*(?:=~|!~|!=|=)\s*"([^"\\]*)$/.exec(before)) && /\{[^}]*$/.test(selector.slice(0, match.index)))
    return { typed: match[2], always: true, validFor: /^[^"\\]*$/, options: (tenant) => valuesOf(tenant, match[1]) };
  if ((match = /\{(?:[^}]*,)?\s*(\w*)$/.exec(selector)) || (match = /\b(?:by|without)\s*\((?:[^)]*,)?\s*(\w*)$/.exec(selector)))
    return { typed: match[1], always: true, options: (tenant) => asked(tenant, "labels", "property") };
  if ((match = /\[(\w*)$/.exec(selector))) return { typed: match[1], always: true, options: () => plain(DURATIONS, "constant") };
  if ((match = /[^|]\|\s*(\w*)$/.exec(selector))) return { typed: match[1], always: true, options: () => plain(STAGES, "keyword") };
  if (/\{[^}]*$|\}\s*\w*$/.test(selector) || (match = /(?:^|[\s(])([a-z_]*)$/.exec(selector)) === null) return null;
  return { typed: match[1], options: functions };
}

const plain = (labels, type) => labels.map((label) => ({ label, type }));
const functions = () =>
  [...AGGREGATION_OPERATORS, ...RANGE_VEC_FUNCTIONS].map(({ label, documentation }) => ({ label, type: "function", info: documentation }));
const quoted = (text) => JSON.stringify(text).slice(1, -1);

async function valuesOf(tenant, label) {
  const values = await asked(tenant, `label/${encodeURIComponent(label)}/values`, "text");
  return values.map((one) => ({ ...one, apply: quoted(one.label) }));
}

// Return names from the tenant's Loki as options; none where it does not answer, because a query tells why.
async function asked(tenant, path, type) {
  const end = Date.now();
  const times = { start: `${end - LOOKBACK}000000`, end: `${end}000000` }; // nanoseconds
  const answer = await fetch(`/explore/${tenant}/loki/loki/api/v1/${path}?${new URLSearchParams(times)}`);
  return answer.ok ? plain((await answer.json()).data, type) : [];
}
