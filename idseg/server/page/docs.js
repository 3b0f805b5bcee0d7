// Shows /openapi.json: the calls, their parameters and their answers. Works offline.

import { BASE } from "./server.js";
import * as chinese from "./docs_zh.js";
import { language, switchLanguage, words } from "./words.js";

const TEXT = {
  en: { title: "API", lead: "A local stand-in for the cloud's body_seg_photo, and calls for finished ID photos.", tryIt: "Try it", parameters: "Parameters", answers: "Answers", required: "required", schema: "JSON Schema" },
  zh: { title: "接口", lead: "本机版 body_seg_photo 接口，以及生成证件照的接口。", tryIt: "试一试", parameters: "参数", answers: "返回", required: "必填", schema: "JSON Schema" },
};
const text = TEXT[language];
document.documentElement.lang = language === "zh" ? "zh-CN" : "en";

const document_ = await fetch(`${BASE}openapi.json`).then((answer) => answer.json());

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function typeOf(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  return schema.enum ? schema.enum.map((value) => JSON.stringify(value)).join(" | ") : (schema.type ?? "");
}

function table(rows) {
  const made = element("table", "", "fields");
  for (const cells of rows) {
    const row = made.insertRow();
    for (const cell of cells) row.insertCell().textContent = cell;
  }
  return made;
}

/** The Chinese words of a table where there are some. */
const said = (table, key, english) => (language === "zh" ? chinese[table][key] ?? english : english);

function fields(operation) {
  const rows = (operation.parameters ?? []).map((one) => [one.name, one.in, said("parameters", one.name, one.description ?? typeOf(one.schema)), one.required ? text.required : ""]);
  if (operation.requestBody?.description) rows.push(["body", "", said("parameters", "body", operation.requestBody.description), operation.requestBody.required ? text.required : ""]);
  for (const [kind, { schema }] of Object.entries(operation.requestBody?.content ?? {})) {
    for (const [name, one] of Object.entries(schema.properties ?? {})) {
      rows.push([name, kind, said("parameters", name, one.description ?? typeOf(one)), schema.required?.includes(name) ? text.required : ""]);
    }
  }
  return rows;
}

function show(path, method, operation) {
  const card = element("section", "", "card operation");
  const title = element("h2");
  title.append(element("span", method.toUpperCase(), "method"), element("code", path));
  card.append(title, element("p", said("operations", `${method} ${path}`, operation.summary)));
  if (language === "en" && operation.description) card.append(element("p", operation.description, "hint"));
  const rows = fields(operation);
  if (rows.length) card.append(element("h3", text.parameters), table(rows));
  card.append(element("h3", text.answers), table(Object.entries(operation.responses).map(([status, one]) => [status, said("statuses", status, one.description)])));
  for (const one of Object.values(operation.responses)) {
    const schema = one.content?.["application/json"]?.schema;
    if (!schema || !Object.keys(schema).length) continue;
    const details = element("details");
    details.append(element("summary", text.schema), element("pre", JSON.stringify(schema, null, 2)));
    card.append(details);
  }
  return card;
}

document.getElementById("title").textContent = `${text.title} ${document_.info.version}`;
document.getElementById("about").textContent = text.lead;
document.getElementById("try").textContent = text.tryIt;
document.getElementById("language").textContent = words.otherLanguage;
document.getElementById("language").lang = language === "zh" ? "en" : "zh";
document.getElementById("language").onclick = () => {
  switchLanguage();
  location.reload();
};
document.getElementById("example").textContent = [
  `TOKEN=$(curl -s '${BASE}oauth/2.0/token?grant_type=client_credentials&client_id=API_KEY&client_secret=SECRET_KEY' | sed 's/.*"access_token":"\\([^"]*\\).*/\\1/')`,
  `base64 < selfie.jpg | tr -d '\\n' > selfie.b64`,
  `curl -s '${BASE}rest/2.0/image-classify/v1/body_seg_photo?access_token='$TOKEN --data-urlencode image@selfie.b64`,
  `curl -s --data-binary @selfie.jpg '${BASE}v1/photo/file?size=us-visa&access_token='$TOKEN -o visa.jpg`,
].join("\n");
document.getElementById("operations").append(
  ...Object.entries(document_.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => show(path, method, operation))),
);
document.documentElement.dataset.ready = "yes";
