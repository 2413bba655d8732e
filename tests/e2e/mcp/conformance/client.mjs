// Loaded before the conformance suite, which knows nothing of tokens: adds the token to each request,
// and writes down what each call of a tool was answered. Nothing else is changed.
import { appendFileSync } from "node:fs";
import http from "node:http";
import { register } from "node:module";

const { MCP_TOKEN: token, MCP_CALLS: calls } = process.env;
const bearer = token && `Bearer ${token}`;

// The suite checks headers with clients of its own as well, and wants a function of newer versions
// of Node for a command that is not used here.
const hooks = `
const source = (text) => ({ url: "data:text/javascript," + encodeURIComponent(text), shortCircuit: true });
export async function resolve(name, context, next) {
  if (!context.parentURL?.includes("/conformance/dist/")) return next(name, context);
  if (name === "fs") return source(\`
    export * from "node:fs";
    export { default } from "node:fs";
    export const globSync = () => { throw new Error("not there"); };\`);
  if (name === "undici") return source(\`
    import { request as plain } from \${JSON.stringify((await next(name, context)).url)};
    const bearer = \${JSON.stringify(${JSON.stringify(bearer ?? null)})};
    export const request = (url, options) => plain(url, bearer
      ? { ...options, headers: { ...options.headers, authorization: bearer } }
      : options);\`);
  return next(name, context);
}`;
register("data:text/javascript," + encodeURIComponent(hooks));

const { request } = http;
http.request = (options, ...more) =>
  request(bearer ? { ...options, headers: { ...options.headers, authorization: bearer } } : options, ...more);

const plain = globalThis.fetch;
globalThis.fetch = async (url, options = {}) => {
  const headers = new Headers(options.headers);
  if (bearer) headers.set("authorization", bearer);
  const answer = await plain(url, { ...options, headers });
  const { body } = options;
  if (calls && typeof body === "string" && body.includes('"tools/call"')) {
    const copy = answer.clone();
    copy.text().then((text) => {
      appendFileSync(calls, JSON.stringify({ asked: body, status: copy.status, said: text }) + "\n");
    }, () => {});
  }
  return answer;
};
