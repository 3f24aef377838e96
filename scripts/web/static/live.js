// Says on the page that values are old: when its process does not answer, and when a part of a view does not load. After a lost
// connection, it lets the view ask again.
const banner = document.getElementById("connection");
let lost = null;
let wasConnected = false;
const ACCOUNT_MS = 300_000; // between two events `account` of a connection
let accountAt = Date.now(); // of the last one; parts of the view are asked for when it loads

const now = () => `${new Date().toISOString().slice(0, 19).replace("T", " ")} UTC`;

function say(status) {
  lost ??= now();
  banner.textContent =
    status === 401
      ? "This browser has no session any more. Open the newest link that ./opstrace ui shows in its terminal."
      : `The page does not answer since ${lost}. All that you see here is as old, or older.`;
  banner.hidden = false;
}

document.addEventListener("htmx:sse:error", ({ detail }) => say(detail.status));
document.addEventListener("htmx:sse:after:connection", ({ target }) => {
  lost = null;
  banner.hidden = true;
  if (wasConnected) {
    // A hidden tab has no connection, so what it shows is old. Each connection counts its own rounds.
    htmx.trigger(target, "figures");
    if (Date.now() - accountAt >= ACCOUNT_MS) htmx.trigger(target, "account");
  }
  wasConnected = true;
});
document.addEventListener("account", () => {
  accountAt = Date.now();
});
document.addEventListener("htmx:error", ({ detail }) => {
  const source = detail.ctx?.sourceElement;
  if (source?.id === "live") return say();
  const waiting = source?.querySelector("[aria-busy=true]");
  if (!waiting) return;
  const isLate = detail.ctx.request.signal.reason === "timeout";
  waiting.textContent = isLate ? "No answer came in time. Load the page again." : "The page does not answer. Load it again.";
  waiting.className = "error";
  waiting.setAttribute("role", "alert");
  waiting.removeAttribute("aria-busy");
});
// The server has judged the former text of a field, not the one that is being typed.
document.addEventListener("input", ({ target }) => target.removeAttribute("aria-invalid"));
