// Drives the official Node SDK against a local server. Usage: node sdk.js BASE_URL API_KEY SECRET_KEY PHOTO_FILE MODE
// Prints one JSON object a line: the reply of each call. MODE: call | bce | twice
"use strict";
const fs = require("fs");
const sdk = require("baidu-aip-sdk");

const [base, apiKey, secretKey, photo, mode] = process.argv.slice(2);
sdk.HttpClient.setRequestInterceptor((options) => {
  if (options.uri) options.uri = options.uri.replace("https://aip.baidubce.com", base);
  options.url = options.url.replace("https://aip.baidubce.com", base);
  return options;
});

async function main() {
  const client = new sdk.imageClassify("app", apiKey, secretKey);
  const image = fs.readFileSync(photo).toString("base64");
  const call = () => client.commonImpl({ image, targetPath: "/rest/2.0/image-classify/v1/body_seg_photo" });
  if (mode === "bce") {
    await client.pms;
    client.authType = 1; // what the client does with keys of the "cloud" kind
  }
  for (let n = 0; n < (mode === "twice" ? 2 : 1); n++) console.log(JSON.stringify(await call()));
}
main().catch((error) => { console.log(JSON.stringify({ thrown: String(error.error || error) })); });
