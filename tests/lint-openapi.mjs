// Lints an OpenAPI document: node tests/lint-openapi.mjs FILE
// Prints every problem and ends with status 1 when there is one, warnings included. Reads nothing but FILE, asks no
// server anything. Rules: the linter's own "recommended" set, with what follows here.
import { readFileSync } from "node:fs";
import { createConfig, formatProblems, getTotals, lintFromString } from "@redocly/openapi-core";

const RULES = {
    "operation-operationId": "error",
    "operation-operationId-unique": "error",
    "operation-parameters-unique": "error",
    "path-parameters-defined": "error",
    "no-unused-components": "error",
    "no-invalid-schema-examples": "error",
    "no-invalid-media-type-examples": "error",
    // Larder is served from wherever its operator puts it; the document names no host, and no license.
    "no-empty-servers": "off",
    "no-server-example.com": "off",
    "info-license": "off",
    "info-license-url": "off",
    // Health, metrics and the document itself have no error of the client's to tell of.
    "operation-4xx-response": "off",
};

const file = process.argv[2];
if (!file) {
    console.error("usage: lint-openapi.mjs FILE");
    process.exit(2);
}
const source = readFileSync(file, "utf8");
if (!/^\s*\{\s*"openapi"\s*:\s*"3\.1\./.test(source)) {
    console.error(`${file}: not a JSON document that begins with "openapi": "3.1.x"`);
    process.exit(1);
}
const config = await createConfig({ extends: ["recommended"], rules: RULES });
const problems = await lintFromString({ source, absoluteRef: file, config });
const totals = getTotals(problems);
formatProblems(problems, { format: "stylish", totals, version: "", cwd: process.cwd(), color: false });
console.log(`${totals.errors} errors, ${totals.warnings} warnings`);
process.exit(totals.errors + totals.warnings === 0 ? 0 : 1);
