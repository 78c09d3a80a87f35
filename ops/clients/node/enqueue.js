// Enqueues a batch for Darkroom inside a transaction of this program's own.
//
//     DARKROOM_DATABASE_URL=postgres://... node enqueue.js TOKEN PROMPT...
//
// With ROLLBACK=1 the transaction is rolled back at its end, and leaves nothing.
import pg from "pg";

const [token, ...prompts] = process.argv.slice(2);
const client = new pg.Client({ connectionString: process.env.DARKROOM_DATABASE_URL });
await client.connect();
try {
  await client.query("BEGIN");
  // Here the program changes rows of its own.
  const requests = prompts.map((prompt, place) => ({ key: `image-${place + 1}`, prompt }));
  // pg sends an array as one of Postgres: a list has to be written as JSON.
  await client.query("SELECT darkroom_enqueue($1, $2)", [{ token, owner: "shop" }, JSON.stringify(requests)]);
  await client.query(process.env.ROLLBACK === "1" ? "ROLLBACK" : "COMMIT");
} finally {
  await client.end();
}
