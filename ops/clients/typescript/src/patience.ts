// Repeats requests that a server which restarts, or has no place free, did not serve.
import { setTimeout as pause } from "node:timers/promises";

const GIVE_UP_AFTER_MS = 120_000;
const RETRY_MS = 500;
const PASSING = new Set([408, 429, 500, 502, 503, 504]);

interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** An answer that is an error and will be the same the next time. */
export class Refused extends Error {}

/** Return the answer of a call that may be repeated: a GET, or a submission with its Idempotency-Key. */
export async function patiently<Data>(call: () => Promise<Answer<Data>>): Promise<Answer<Data>> {
  const giveUpAt = Date.now() + GIVE_UP_AFTER_MS;
  for (;;) {
    let reason: unknown;
    let wait = RETRY_MS;
    try {
      const answer = await call();
      if (answer.response.ok) return answer;
      reason = `${answer.response.status} ${JSON.stringify(answer.error)}`;
      if (!(PASSING.has(answer.response.status) || isInFlight(answer.error))) throw new Refused(String(reason));
      wait = Number(answer.response.headers.get("Retry-After") ?? 0) * 1000 || RETRY_MS;
    } catch (error) {
      if (error instanceof Refused) throw error;
      reason = error; // the connection was cut, or there is no server
    }
    if (Date.now() + wait > giveUpAt) throw new Error(`not served for ${GIVE_UP_AFTER_MS / 1000} s`, { cause: reason });
    await pause(wait);
  }
}

function isInFlight(error: unknown): boolean {
  return (error as { type?: string } | undefined)?.type === "urn:darkroom:error:submission_in_flight";
}
