// Lists that come oldest first, shown newest first: by asking for a stretch of time short enough for one page.

const DAY = 86_400_000;
const SHORTEST = 1_000;

export class Newest {
  #fetch;
  #span = DAY;
  #end = null;
  #oldest = null;

  /** fetch(after, before): { items, more } within those times (ISO 8601; before may be null: no end). */
  constructor(fetch) {
    this.#fetch = fetch;
  }

  get isEarlier() {
    return this.#end !== null;
  }

  /** Go back to what is newest. */
  reset(end = null, span = DAY) {
    this.#end = end;
    this.#span = span;
  }

  /** Go on to what came before that which is shown. */
  earlier() {
    if (this.#oldest) this.reset(this.#oldest);
  }

  /** The newest items, newest first, and from when on they are all there. */
  async load() {
    const end = this.#end ?? new Date();
    for (;;) {
      const after = new Date(end.getTime() - this.#span);
      const { items, more } = await this.#fetch(after.toISOString(), this.#end?.toISOString() ?? null);
      if (more && this.#span > SHORTEST) {
        this.#span /= 4;
        continue;
      }
      if (items.length < 25) this.#span = Math.min(DAY, this.#span * 2);
      this.#oldest = after;
      return { items: items.reverse(), since: after };
    }
  }
}
