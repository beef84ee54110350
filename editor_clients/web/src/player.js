// The clock of the page, in milliseconds of the model: lanes are drawn as they stood at its time.

const WATCHED_MS = 110;

export class Player {
  /** `draw` is called with the time whenever it has changed; `lanes` are those that it runs over. */
  constructor(lanes, draw) {
    this.lanes = lanes;
    this.draw = draw;
    this.time = 0;
    this.pace = 'watch';
    this.runs = false;
    this.last = 0;
    requestAnimationFrame((now) => this.#tick(now));
  }

  get end() {
    return Math.max(0, ...this.lanes().map((lane) => lane.ms));
  }

  restart() {
    this.time = 0;
    this.runs = true;
  }

  toggle() {
    if (!this.runs && this.time >= this.end) this.time = 0;
    this.runs = !this.runs;
    this.draw(this.time);
  }

  show(time) {
    this.runs = false;
    this.time = time;
    this.draw(this.time);
  }

  /** Milliseconds of the model in one of ours: so slow that a pass can be seen. */
  get rate() {
    if (this.pace === 'real') return 1;
    const [own] = this.lanes();
    const passes = Math.max(1, own.frames.length - 1);
    return Math.min(1, own.ms / passes / WATCHED_MS) || 1;
  }

  #tick(now) {
    const passed = Math.min(100, now - this.last);
    this.last = now;
    if (this.runs && this.end) {
      const before = this.time;
      this.time = Math.min(this.end, this.time + passed * this.rate);
      this.runs = this.time < this.end || !this.lanes().every((lane) => lane.ended);
      // a fill that was stopped gets no further, and never ends
      if (this.time > before || !this.runs) this.draw(this.time);
    }
    requestAnimationFrame((later) => this.#tick(later));
  }
}
