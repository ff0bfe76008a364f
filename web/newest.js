// Shows a list newest first that the app gives oldest first: it asks for a span of time that fits on one page.

const DAY = 86_400_000;
const SHORTEST = 1_000;
const AHEAD = 60_000; // clocks differ
const FEW = 12;

export class Newest {
  #fetch;
  #span = DAY;
  #end = null;
  #oldest = null;

  /** fetch(after, before): { items, more } within those times (ISO 8601). */
  constructor(fetch) {
    this.#fetch = fetch;
  }

  get isEarlier() {
    return this.#end !== null;
  }

  /** Go back to the newest, or to the span that ends at `end` (Date) and is so long (ms). */
  reset(end = null, span = DAY) {
    this.#end = end;
    this.#span = span;
  }

  /** Go on to the span before the one that is shown. */
  earlier() {
    if (this.#oldest) this.reset(this.#oldest);
  }

  /** Choose a span that fits on a page. hours: [start (ms), count], newest first. */
  aim(hours, page) {
    if (this.#end) return;
    const now = Date.now();
    let sum = 0;
    this.#span = AHEAD;
    for (const [start, count] of hours) {
      const whole = now - start + AHEAD;
      if (sum + count > page) {
        if (!sum) this.#span = Math.max(SHORTEST, (whole * page) / count);
        return;
      }
      sum += count;
      this.#span = whole;
    }
    this.#span = DAY;
  }

  /** The newest items, newest first, and the time since which they are complete. */
  async load() {
    const end = this.#end ?? new Date(Date.now() + AHEAD);
    for (;;) {
      const after = new Date(end.getTime() - this.#span);
      const { items, more } = await this.#fetch(after.toISOString(), end.toISOString());
      if (more && this.#span > SHORTEST) {
        this.#span /= 4;
        continue;
      }
      if (!this.#end && items.length < FEW) this.#span = Math.min(DAY, this.#span * 2);
      this.#oldest = after;
      return { items: items.reverse(), since: after };
    }
  }
}
