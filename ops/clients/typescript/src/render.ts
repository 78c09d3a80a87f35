// Submits a manifest with its reference images, follows it, and downloads its images in the order of lines.
//
//     DARKROOM_API=http://127.0.0.1:8780 DARKROOM_TOKEN=dkr_... node dist/render.js KEY MANIFEST OUT [REFERENCE...]
//
// KEY names the submission: with the same key again nothing is submitted, or paid, twice. OUT gets `events.jsonl` (each
// end as it came), `results.jsonl` (each line, in order) and the images.
import { createHash } from "node:crypto";
import { openAsBlob } from "node:fs";
import { appendFile, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { EventSourceParserStream } from "eventsource-parser/stream";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";
import { patiently } from "./patience.js";

type Line = components["schemas"]["Line"];
const DOWNLOADS_AT_ONCE = 16;

const client = createClient<paths>({
  baseUrl: process.env.DARKROOM_API ?? "http://127.0.0.1:8780",
  headers: { Authorization: `Bearer ${process.env.DARKROOM_TOKEN}` },
});

/** Submit the lines, and the files that they name as references, as one batch; return its id. */
async function submit(key: string, manifest: string, references: string[]): Promise<string> {
  const parts = new FormData();
  parts.append("manifest", await openAsBlob(manifest, { type: "application/x-ndjson" }), basename(manifest));
  for (const path of references) parts.append("files", await openAsBlob(path), basename(path));
  const { data, response } = await patiently(() =>
    client.POST("/api/v1/batches", {
      params: { header: { "Idempotency-Key": key } },
      body: { manifest: basename(manifest), files: references.map((path) => basename(path)) },
      bodySerializer: () => parts,
    }),
  );
  if (!data || !("batch" in data)) throw new Error("the answer is no receipt");
  const again = response.headers.has("Idempotency-Replayed") ? ", which was there already" : "";
  console.error(`batch ${data.batch}: ${data.jobs} jobs, ${data.credits} credits${again}`);
  return data.batch;
}

/** Yield the end of each job until the batch has ended; a stream that is cut goes on behind its last event. */
async function* ends(batch: string): AsyncGenerator<{ id: string | undefined; line: Line }> {
  let last: string | undefined;
  for (;;) {
    const { data } = await patiently(() =>
      client.GET("/api/v1/batches/{batch_id}/events", {
        params: { path: { batch_id: batch }, header: last === undefined ? {} : { "Last-Event-ID": last } },
        parseAs: "stream",
      }),
    );
    if (!data) return; // 204: all was sent
    const stream = data as ReadableStream<Uint8Array<ArrayBuffer>>;
    try {
      for await (const event of stream.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())) {
        last = event.id;
        if (event.event === "batch") return;
        yield { id: event.id, line: JSON.parse(event.data) as Line };
      }
    } catch (error) {
      console.error(`the stream was cut after event ${last}: ${error}`);
    }
  }
}

/** Yield what came of each line, in their order, page by page. */
async function* pages(batch: string): AsyncGenerator<Line[]> {
  let after: string | undefined;
  do {
    const { data } = await patiently(() =>
      client.GET("/api/v1/batches/{batch_id}/results", {
        params: { path: { batch_id: batch }, query: { limit: DOWNLOADS_AT_ONCE * 16, after } },
      }),
    );
    if (typeof data !== "object") throw new Error("the answer is no page of results");
    yield data.results;
    after = data.next ?? undefined;
  } while (after !== undefined);
}

/** Download the image of a line, if it has one; return the name of its file. */
async function download(line: Line, folder: string): Promise<string | null> {
  const job = line.job;
  if (line.image === null || job === null) return null;
  const { data } = await patiently(() =>
    client.GET("/api/v1/results/{job_id}/image", { params: { path: { job_id: job } }, parseAs: "arrayBuffer" }),
  );
  const bytes = Buffer.from(data as ArrayBuffer);
  const digest = createHash("sha256").update(bytes).digest("hex");
  if (digest !== line.sha256) throw new Error(`line ${line.line}: the image has the hash ${digest}, not ${line.sha256}`);
  const name = `${String(line.line).padStart(6, "0")}.${line.mime_type?.split("/")[1] ?? "bin"}`;
  await writeFile(join(folder, name), bytes);
  return name;
}

async function main(key: string, manifest: string, folder: string, references: string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  const began = performance.now();
  const batch = await submit(key, manifest, references);
  report("submitted", began);
  for await (const { id, line } of ends(batch)) {
    await appendFile(join(folder, "events.jsonl"), `${JSON.stringify({ id, line: line.line, state: line.state })}\n`);
  }
  report("ended", began);
  for await (const lines of pages(batch)) {
    for (let from = 0; from < lines.length; from += DOWNLOADS_AT_ONCE) {
      const some = lines.slice(from, from + DOWNLOADS_AT_ONCE);
      const files = await Promise.all(some.map((line) => download(line, folder)));
      const written = some.map((line, place) => `${JSON.stringify({ ...line, file: files[place] })}\n`);
      await appendFile(join(folder, "results.jsonl"), written.join(""));
    }
  }
  report("downloaded", began);
}

function report(what: string, began: number): void {
  console.error(`${what} after ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

const [key, manifest, folder, ...references] = process.argv.slice(2);
if (key === undefined || manifest === undefined || folder === undefined) {
  console.error("usage: node dist/render.js KEY MANIFEST OUT [REFERENCE...]");
  process.exit(2);
}
await main(key, manifest, folder, references);
