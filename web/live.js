// Refreshes what is on the screen. It asks again after a while: sooner if something has changed, later if nothing has
// or if the app does not answer, and not at all while the page is hidden.

import { NoKey } from "./api.js";
import { $, setText } from "./dom.js";

const OFTEN = 2_000;
const SELDOM = 15_000;
const AWAY = 60_000;

export class Live {
  #work;
  #timer;
  #round = 0;

  /** work(): do one round; returns whether something was new. */
  constructor(work) {
    this.#work = work;
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.now();
      else clearTimeout(this.#timer);
    });
    $("again").addEventListener("click", () => this.now());
  }

  /** Do a round at once, and ask often for a while. */
  now() {
    return this.#run(OFTEN);
  }

  async #run(delay) {
    clearTimeout(this.#timer);
    const round = ++this.#round;
    let next;
    try {
      next = (await this.#work()) ? OFTEN : Math.min(delay * 1.3, SELDOM);
      if (round === this.#round) connection("");
    } catch (error) {
      if (round !== this.#round) return;
      connection(error.message);
      if (error instanceof NoKey) return;
      next = Math.min(delay * 2, AWAY);
    }
    if (round !== this.#round || document.visibilityState !== "visible") return;
    this.#timer = setTimeout(() => this.#run(next), next);
  }
}

/** What is wrong with the connection, or "". */
function connection(problem) {
  $("connection").hidden = !problem;
  setText($("connection-problem"), problem);
}
